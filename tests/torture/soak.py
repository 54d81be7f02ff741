"""One long run at full speed, during which nothing may grow: `make soak`.

A real run of two workers against a simulator that throttles, fails and drops now and then, with
its metrics scraped. Every few seconds the memory and the file descriptors of each process are
read. At the end the run is told to stop, exported as far as it came, and verified; then a line is
laid through the samples of each process, the first sixth left out, and what it gains over
the time measured is printed, as a share.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.request import urlopen

from integration.place import PENSTOCK, Live, Place
from penstock.simulator import Settings, SimulatorProcess, spawn
from torture.flatness import Sample, line_through

MOST_GROWTH: Final = 0.01
MOST_GAINED: Final = 4  # descriptors: connections are dropped and made by the ten thousand
WARM_UP: Final = 1 / 6
SAMPLE_SECONDS: Final = 5.0
ROWS_A_SECOND: Final = 6000  # more than two cores manage: the input must not end before the time
INTERRUPTED: Final = 143
FAULTS: Final = Settings(
    ttft_seconds=0.02,
    throttle=0.005,
    retry_after_seconds=0.5,
    error_500=0.005,
    disconnect=0.005,
    truncated=0.002,
    reject=0.001,
)


class Reading(NamedTuple):
    """What a process holds."""

    memory_kib: int  # resident, without the pages of files, which the kernel takes back at will
    descriptors: int


class Grown(NamedTuple):
    """What became of one process in the time measured."""

    name: str
    memory_mib: float
    memory_growth: float
    descriptors: int
    descriptors_gained: int

    @property
    def is_flat(self) -> bool:
        return self.memory_growth < MOST_GROWTH and self.descriptors_gained <= MOST_GAINED

    def __str__(self) -> str:
        return (
            f"{self.name:<12}{self.memory_mib:8.1f} MiB  {self.memory_growth:+8.2%}"
            f"{self.descriptors:6} descriptors  {self.descriptors_gained:+d}"
        )


def read(pid: int) -> Reading:
    """A process's memory and descriptors. Raises OSError where it is gone."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    anonymous, shared = (int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem"))
    return Reading(anonymous + shared, len(list(Path(f"/proc/{pid}/fd").iterdir())))


def grown(name: str, samples: list[tuple[float, Reading]]) -> Grown:
    """What the samples of a process say, those of the warm-up left out."""
    began, ended = samples[0][0], samples[-1][0]
    warm = [one for one in samples if one[0] >= began + WARM_UP * (ended - began)]
    memory: list[Sample] = [(at, reading.memory_kib) for at, reading in warm]
    line = line_through(memory)
    first, last = (sorted(r.descriptors for _, r in part) for part in thirds(warm))
    return Grown(
        name,
        line.level / 1024,
        line.growth(ended - warm[0][0]),
        last[len(last) // 2],
        last[len(last) // 2] - first[len(first) // 2],
    )


def thirds(samples: list[Any]) -> tuple[list[Any], list[Any]]:
    """The first third and the last."""
    count = max(1, len(samples) // 3)
    return samples[:count], samples[-count:]


def write_input(path: Path, rows: int) -> None:
    with path.open("w") as file:
        for n in range(rows):
            file.write(f'{{"id": "t-{n}", "text": "text {n}, of the run"}}\n')


def watch(live: Live, port: int, seconds: float) -> dict[str, list[tuple[float, Reading]]]:
    """Sample every process of the run for so long, and scrape its metrics as Prometheus would."""
    pids = {"supervisor": live.process.pid}
    pids |= {f"worker {n}": one.pid for n, one in enumerate(live.until_running(2), 1)}
    samples = defaultdict(list)
    began = time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        assert live.process.poll() is None, live.stderr
        for name, pid in pids.items():
            samples[name].append((now, read(pid)))
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            answer.read()
        if sys.stderr.isatty():
            print(f"\r{now / 60:6.1f} of {seconds / 60:g} min", end="", file=sys.stderr)
        time.sleep(SAMPLE_SECONDS if seconds > 60 else SAMPLE_SECONDS / 10)
    return samples


def soak(folder: Path, provider: SimulatorProcess, minutes: float) -> dict[str, Any]:
    """One run of so many minutes; what it did, and what grew."""
    run = Place(folder)
    write_input(run.input, int(minutes * 60 * ROWS_A_SECOND) + 10_000)
    command = {"workers": 2, "max_concurrency": 128, "metrics_port": 19464, "progress": "off"}
    with run.start(provider.base_url, **command) as live:
        samples = watch(live, 19464, minutes * 60)
        live.signal(signal.SIGTERM)
        ended = live.wait(120)
    assert ended.code == INTERRUPTED, ended.stderr
    processes = [grown(name, one) for name, one in samples.items()]
    print(*map(str, processes), sep="\n", flush=True)
    # Some millions of rows are read again: it takes a part of the time that they took.
    verified = run.call([PENSTOCK, "verify", str(run.run_dir)], seconds=60 + minutes * 60)
    return {
        "minutes": minutes,
        "rows": ended.summary["succeeded"] + ended.summary["failed"],
        "duplicates": ended.summary["duplicates"],
        "verified": verified.code == 0,
        "processes": [one._asdict() for one in processes],
        "flat": all(one.is_flat for one in processes),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--figures", type=Path, help="write the figures here, as JSON")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, spawn(FAULTS) as provider:
        found = soak(Path(folder), provider, chosen.minutes)
    if chosen.figures:
        chosen.figures.parent.mkdir(parents=True, exist_ok=True)
        chosen.figures.write_text(json.dumps(found, indent=2) + "\n")
    print(f"{found['rows']:,} rows in {chosen.minutes:g} minutes, {found['duplicates']} twice")
    flat = found["flat"]
    print("flat" if flat else f"NOT flat: more than {MOST_GROWTH:.0%}, or descriptors gained")
    return 0 if flat and found["verified"] and not found["duplicates"] else 1


if __name__ == "__main__":
    sys.exit(main())
