"""Nothing is bought twice: requests that are the same, and answers that an earlier run has."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from conftest import Simulate
from integration.place import Place, text_rows
from penstock.ledger.process import kill

DISTINCT = 60
QUIET = ("--progress", "lines", "--metrics-port", "off", "--json")


def repeated(rows: int) -> list[dict[str, Any]]:
    """Rows of which only so many are different, the same ones far from each other."""
    return [{"id": f"t-{n}", "text": f"text {n % DISTINCT}, of the run"} for n in range(rows)]


def sources(place: Place) -> Counter[str]:
    return Counter(one["source"] for one in place.results())


def check_same_answers(place: Place) -> None:
    """Rows that ask the same have the same answer; what was not bought costs nothing."""
    place.check_answers()
    answers: dict[str, set[str]] = {}
    for one in place.results():
        answers.setdefault(one["text"], set()).add(one["output"])
        if one["source"] != "bought":
            assert (one["attempts"], one["output_tokens"], one["latency_seconds"]) == (
                0,
                None,
                None,
            )
    assert all(len(told) == 1 for told in answers.values())


def test_the_same_request_is_bought_once_over_all_workers_and_calls(
    tmp_path: Path, simulate: Simulate
) -> None:
    place, provider = Place(tmp_path, repeated(900)), simulate(ttft_seconds=0.05)
    how = {"dedupe": True, "workers": 2, "max_concurrency": 8}
    with place.start(provider.base_url, **how) as live:
        live.until(lambda: provider.stats()["received"] > 15)
        live.signal(signal.SIGINT)
        assert live.wait().code == 130
    ended = place.run(provider.base_url, **how)
    assert ended.code == 0, ended.stderr
    assert provider.stats()["received"] == DISTINCT
    assert sources(place) == {"bought": DISTINCT, "duplicate": 900 - DISTINCT}
    assert ended.summary["deduplicated"] == 900 - DISTINCT
    assert ended.summary["tokens"]["visible_output"] == sum(
        one["output_tokens"] or 0 for one in place.results()
    )
    check_same_answers(place)
    assert ended.summary["bottleneck"]["input"] < 0.5, "rows that wait for others' answers are read"


def test_killed_workers_and_supervisors_lose_no_row_and_buy_little_again(
    tmp_path: Path, simulate: Simulate
) -> None:
    place, provider = Place(tmp_path, repeated(600)), simulate(ttft_seconds=0.05)
    how = {"dedupe": True, "workers": 2, "max_concurrency": 8}
    with place.start(provider.base_url, **how) as live:
        workers = live.until_running(2)
        live.until(lambda: provider.stats()["received"] > 10)
        kill(workers[0])
        live.until(lambda: provider.stats()["received"] > 25)
        live.signal_all(signal.SIGKILL)
        live.wait()
    ended = place.run(provider.base_url, **how)
    assert ended.code == 0, ended.stderr
    # What was in flight or not yet written may be asked again, and nothing else.
    assert provider.stats()["received"] <= DISTINCT + 2 * 30
    check_same_answers(place)
    assert sources(place)["bought"] <= DISTINCT + 2


def test_what_failed_fails_for_all_who_ask_it_and_a_redo_asks_it_once(
    tmp_path: Path, simulate: Simulate
) -> None:
    place, bad, good = Place(tmp_path, repeated(600)), simulate(reject=0.2), simulate()
    assert place.run(bad.base_url, dedupe=True).code == 3
    assert bad.stats()["received"] == DISTINCT
    failed = [one for one in place.results() if one["outcome"] == "failed"]
    different = {one["text"] for one in failed}
    assert len(failed) == 10 * len(different) > 0
    assert {one["error_class"] for one in failed} == {"invalid_request"}
    ended = place.penstock("redo", place.run_dir, "--base-url", good.base_url, "--dedupe", *QUIET)
    assert ended.code == 0, ended.stderr
    assert good.stats()["received"] == len(different)
    check_same_answers(place)


def test_answers_of_an_earlier_run_are_taken_whatever_its_order(
    tmp_path: Path, simulate: Simulate
) -> None:
    provider = simulate(ttft_seconds=0.02)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    earlier = Place(tmp_path / "a", text_rows(200))
    assert earlier.run(provider.base_url).code == 0
    later = Place(tmp_path / "b", list(reversed(text_rows(300))))
    how = {"reuse": earlier.run_dir, "max_concurrency": 4}
    with later.start(provider.base_url, **how) as live:
        live.until(lambda: provider.stats()["received"] > 230)
        live.signal_all(signal.SIGKILL)
        live.wait()
    known = provider.stats()["received"]
    ended = later.run(provider.base_url, **how)
    assert ended.code == 0, ended.stderr
    assert ended.summary["reused"] == 200
    assert sources(later) == {"reused": 200, "bought": 100}
    assert provider.stats()["received"] <= 300 + 4 + (known - 200)
    check_same_answers(later)
    assert "200 answers of earlier runs are known" in ended.stderr

    status = later.penstock("status", later.run_dir)
    assert "200 reused" in status.stdout


def test_an_output_alone_is_enough_and_what_is_none_is_refused(
    tmp_path: Path, simulate: Simulate
) -> None:
    provider = simulate()
    earlier = Place(tmp_path, text_rows(50))
    output = tmp_path / "old.parquet"
    assert earlier.run(provider.base_url, output=output, prefix="p_").code == 0
    place = Place(tmp_path, text_rows(60))
    ended = place.run(provider.base_url, reuse=output, dedupe=True)
    assert ended.code == 0, ended.stderr
    assert provider.stats()["received"] == 60 and ended.summary["reused"] == 50
    check_same_answers(place)
    strange = tmp_path / "strange.parquet"
    pq.write_table(pa.table({"request_hash": ["a"]}), strange)
    for path in (strange, tmp_path / "none.parquet", place.input, tmp_path):
        ended = place.run(provider.base_url, reuse=path, output=tmp_path / "x.jsonl")
        assert ended.code == 2 and "--reuse" in ended.stderr, path
    assert provider.stats()["received"] == 60
