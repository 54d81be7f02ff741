"""A real Prometheus scrapes a run, and what it answers is what the run's summary says."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from conftest import Simulate, find
from integration.conftest import MakePlace

CONFIG = """
global:
  scrape_interval: 200ms
  scrape_timeout: 200ms
scrape_configs:
  - job_name: penstock
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""


@contextmanager
def prometheus(folder: Path, scraped_port: int) -> Iterator[str]:
    """A Prometheus that scrapes a port of this machine; gives its URL."""
    folder.mkdir()
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(port=scraped_port))
    address = f"127.0.0.1:{free_port()}"
    command = [
        str(find("prometheus")),
        f"--config.file={config}",
        f"--web.listen-address={address}",
        f"--storage.tsdb.path={folder}/data",
    ]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until_scraping(f"http://{address}")
        yield f"http://{address}"
    finally:
        server.kill()
        server.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until_scraping(url: str) -> None:
    """Prometheus takes some seconds after its start before it looks at its targets."""
    deadline = time.monotonic() + 30.0
    while not answers(url, "up"):
        assert time.monotonic() < deadline, f"{url} does not answer"
        time.sleep(0.05)


def answers(url: str, query: str) -> list[float]:
    """What PromQL makes of a query; nothing where Prometheus is not there."""
    try:
        with urlopen(f"{url}/api/v1/query?query={quote(query)}") as answer:
            return [float(one["value"][1]) for one in json.load(answer)["data"]["result"]]
    except URLError:
        return []


def asked(url: str, series: str) -> float:
    """The sum of the newest samples of some series."""
    (value,) = answers(url, f"sum(last_over_time({series}[10m]))")
    return value


@pytest.mark.requires_prometheus
def test_the_answers_of_promql_equal_the_summary(place: MakePlace, simulate: Simulate) -> None:
    run, provider = (
        place(800),
        simulate(
            html_500=0.02, reject=0.02, ttft_seconds=0.05, cached_share=0.3, reasoning_share=0.2
        ),
    )
    port = free_port()
    with prometheus(run.folder / "prometheus", port) as url:
        with run.start(
            provider.base_url, metrics_port=port, workers=2, max_concurrency=32, rpm=60_000
        ) as live:
            live.until(lambda: "penstock_records_total" in scraped(port))
            check_with_promtool(scraped(port))
            with urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
                assert answer.status == 200
            ended = live.wait()
        assert ended.code == 3, ended.stderr
        summary = ended.summary
        for outcome in ("succeeded", "failed"):
            got = asked(url, f'penstock_records_total{{outcome="{outcome}"}}')
            assert got == summary[outcome]
            assert asked(url, f'penstock_records{{state="{outcome}"}}') == summary[outcome]
        assert asked(url, "penstock_requests_total") == summary["requests"]
        assert (
            asked(url, 'penstock_requests_total{error_class="invalid_request"}')
            == (summary["failed"])
        )
        assert asked(url, "penstock_retries_total") == summary["retries"]
        for kind, count in summary["tokens"].items():
            assert count > 0
            assert asked(url, f'penstock_tokens_total{{type="{kind}"}}') == count
        assert asked(url, "penstock_request_duration_seconds_count") == summary["requests"]
        assert asked(url, "penstock_records_pending") == 0
        assert asked(url, "penstock_requests_in_flight") == 0
        assert asked(url, 'penstock_limit{resource="requests_per_minute"}') == 60_000


def scraped(port: int) -> str:
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            return str(answer.read().decode())
    except (URLError, ConnectionError):
        return ""


def check_with_promtool(metrics: str) -> None:
    said = subprocess.run(
        [str(find("promtool")), "check", "metrics"],
        input=metrics,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_a_signal_ends_the_wait_for_a_last_scrape_and_takes_nothing_from_the_run(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(100), simulate(ttft_seconds=0.1)
    port = free_port()
    with run.start(provider.base_url, metrics_port=port, max_concurrency=16) as live:
        live.until(lambda: "penstock_records_total" in scraped(port))
        live.until(lambda: "for the last scrapes" in live.stderr)
        live.signal(signal.SIGINT)
        ended = live.wait(10.0)
    assert ended.code == 0, ended.stderr
    run.check_answers()


def test_a_metrics_port_that_is_taken_is_said_before_the_first_request(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(20), simulate()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run.run(provider.base_url, metrics_port=port)
    assert ended.code == 2, ended.stderr
    assert str(port) in ended.stderr
    assert provider.stats()["received"] == 0
