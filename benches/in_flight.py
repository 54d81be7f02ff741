"""Many requests in flight on one worker: resident memory, and how late its event loop is.

    python benches/in_flight.py [--in-flight 10000] [--rate 2000] [--seconds 20] [--save FOLDER]

A server answers each request after as long as it takes until so many are in flight at that rate.
Lag is what the worker says of itself, in `penstock_event_loop_lag_seconds`: how late each beat of
its loop was, 20 beats a second. Looked at once all are in flight; what comes before does not count.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import msgspec
from harness.account import pinned
from harness.engine_client import PENSTOCK
from harness.machine import Machine, machine, versions
from harness.nginx import free_ports
from harness.records import records_file
from harness.result import now, save
from harness.scrape import LAG, Page, buckets, quantile, scraped, share_above
from harness.session import cores

SERVER = Path(__file__).parent / "harness" / "slow_server.py"
LIMIT_SECONDS = 0.020  # the goal: 99 % of beats are no later
LOOK_SECONDS = 1.0
ENOUGH = 0.97  # of those asked for: the limiter keeps 2 % back
PATIENCE_SECONDS = 60.0  # until they are in flight; then what is there is looked at


class InFlight(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen while all were in flight."""

    in_flight: float  # by the worker's own count, the mean of the looks
    most_in_flight: int  # by the server's count
    requests_per_second: float
    resident_bytes: int  # the worker's, at the end
    largest_resident_bytes: int
    supervisor_resident_bytes: int
    lag_p50_seconds: float
    lag_p99_seconds: float
    late_share: float  # of beats later than 20 ms
    beats: int
    worker_cpu_share: float  # of its core, while all were in flight
    worker_kept_waiting_share: float  # of the time, for its core: lag that other processes made


class Result(msgspec.Struct, kw_only=True):
    """The result as it is committed."""

    what: str
    measured_at: str
    machine: Machine
    versions: dict[str, str]
    asked: dict[str, float]
    seen: InFlight


def resident(pid: int, field: str = "VmRSS") -> int:
    """Bytes resident (VmHWM: at the most so far), pages shared with others too."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def cpu_seconds(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | 2)  # as clock_getcpuclockid(3)


def kept_waiting_seconds(pid: int) -> float:
    """How long its main thread was ready to run while something else had the core (proc(5))."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def worker_of(supervisor: int) -> int:
    """The one worker's process."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    for child in children:
        if b"penstock.engine.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    raise ProcessLookupError("the run has no worker")


def filled(url: str, supervisor: subprocess.Popen[bytes], wanted: float) -> Page:
    """Wait until so many are in flight, or for a minute; the page then. Exits at the run's end."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    page: Page = {}
    while supervisor.poll() is None:
        with suppress(OSError):
            page = scraped(url)
        if page and (in_flight(page) >= ENOUGH * wanted or time.monotonic() > deadline):
            return page
        time.sleep(LOOK_SECONDS / 4)
    sys.exit(f"the run ended with {supervisor.returncode} before {wanted:.0f} were in flight")


def watch(url: str, supervisor: subprocess.Popen[bytes], wanted: float, seconds: float) -> InFlight:
    """Wait until all are in flight, then look for so many seconds."""
    first = filled(url, supervisor, wanted)
    worker = worker_of(supervisor.pid)
    began, used, kept = time.monotonic(), cpu_seconds(worker), kept_waiting_seconds(worker)
    pages: list[Page] = []
    while time.monotonic() - began < seconds:
        time.sleep(LOOK_SECONDS)
        pages.append(scraped(url))
    took = time.monotonic() - began
    counted = buckets(first, pages[-1], LAG)
    return InFlight(
        in_flight=sum(map(in_flight, pages)) / len(pages),
        most_in_flight=0,
        requests_per_second=(requests(pages[-1]) - requests(first)) / took,
        resident_bytes=resident(worker),
        largest_resident_bytes=resident(worker, "VmHWM"),
        supervisor_resident_bytes=resident(supervisor.pid),
        lag_p50_seconds=quantile(counted, 0.5),
        lag_p99_seconds=quantile(counted, 0.99),
        late_share=share_above(counted, LIMIT_SECONDS),
        beats=round(counted[-1][1]),
        worker_cpu_share=(cpu_seconds(worker) - used) / took,
        worker_kept_waiting_share=(kept_waiting_seconds(worker) - kept) / took,
    )


def in_flight(page: Page) -> float:
    return page["penstock_requests_in_flight"]


def requests(page: Page) -> float:
    return sum(count for name, count in page.items() if name.startswith("penstock_requests_total"))


def measure(folder: Path, in_flight: int, rate: float, seconds: float) -> InFlight:
    """Serve and run; the worker is cut when enough was seen."""
    engine_cores, server_cores = cores()
    delay = in_flight / rate
    source = records_file(folder, round(rate * (seconds + 2 * delay + PATIENCE_SECONDS)))
    port, metrics = free_ports(2)
    server = subprocess.Popen(
        [sys.executable, str(SERVER), str(port), str(delay)],
        stdout=subprocess.PIPE,
        preexec_fn=pinned(server_cores),
    )
    command = [
        *(*PENSTOCK, "run", str(source), "--output", str(folder / "out.parquet")),
        *(
            "--base-url",
            f"http://127.0.0.1:{port}/v1",
            "--model",
            "bench",
            "--prompt",
            "{{ text }}",
        ),
        *("--workers", "1", "--max-concurrency", str(in_flight), "--rps", str(round(rate * 1.05))),
        *("--tpm", "100000000000", "--metrics-port", str(metrics), "--progress", "off"),
    ]
    run = subprocess.Popen(
        command,
        stderr=subprocess.DEVNULL,
        preexec_fn=pinned(engine_cores),
    )
    try:
        seen = watch(f"http://127.0.0.1:{metrics}/metrics", run, in_flight, seconds)
    finally:
        run.send_signal(signal.SIGINT)
        run.send_signal(signal.SIGINT)  # don't wait for what is in flight
        run.wait()
        server.terminate()
        said = json.loads(server.communicate()[0])
    return msgspec.structs.replace(seen, most_in_flight=said["most_in_flight"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--in-flight", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=2000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--save", type=Path, help="a folder for the result")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        about = machine(Path(name))
        seen = measure(Path(name), given.in_flight, given.rate, given.seconds)
    print(
        f"{seen.in_flight:,.0f} in flight at {seen.requests_per_second:,.0f} requests/s:"
        f" worker {seen.resident_bytes / 1e6:.0f} MB resident"
        f" (at the most {seen.largest_resident_bytes / 1e6:.0f}),"
        f" event-loop lag p50 {seen.lag_p50_seconds * 1e3:.1f} ms,"
        f" p99 {seen.lag_p99_seconds * 1e3:.1f} ms, {seen.late_share:.2%} later than 20 ms"
        f" of {seen.beats} beats, {seen.worker_cpu_share:.0%} of its core,"
        f" kept waiting for it {seen.worker_kept_waiting_share:.0%} of the time"
    )
    if given.save:
        asked = {"in_flight": given.in_flight, "rate": given.rate, "seconds": given.seconds}
        result = Result(
            what="many requests in flight on one worker, without TLS",
            measured_at=now().isoformat(timespec="seconds"),
            machine=about,
            versions=versions(),
            asked=asked,
            seen=seen,
        )
        print(f"saved {save('in-flight', result, given.save)}")


if __name__ == "__main__":
    main()
