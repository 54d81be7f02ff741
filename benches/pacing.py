"""How evenly requests come: at 5,000 a second over 4 workers, counted in every window of 100 ms.

    python benches/pacing.py [--rps 5000] [--workers 4] [--seconds 10] [--save benches/results]

A server on the loopback keeps when each request came. Every window of 100 ms counts, wherever it
begins; the first and the last second are left out. What the machine did to the server's own timers
meanwhile is told too: a window can't be told more evenly than that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import uvloop
from arrivals import Arrivals
from harness.machine import machine
from harness.plain import tell

SECOND_NS = 1_000_000_000
WINDOW_NS = SECOND_NS // 10
TOLERATED = 0.1
ANSWER_SECONDS = 0.05


def windows(times_ns: Sequence[int], window_ns: int) -> tuple[list[int], list[int]]:
    """How many came in each window that begins with an arrival, and just after one.

    No window holds more than the fullest of the first, or less than the emptiest of the second.
    """
    fullest, emptiest = [], []
    end = 0
    for at, began in enumerate(times_ns):
        while end < len(times_ns) and times_ns[end] < began + window_ns:
            end += 1
        if end == len(times_ns):
            break
        fullest.append(end - at)
        after = end
        while after < len(times_ns) and times_ns[after] <= began + window_ns:
            after += 1
        emptiest.append(after - at - 1)
    return fullest, emptiest


def figures_of(times_ns: Sequence[int]) -> dict[str, float]:
    """How even the arrivals were, without the first and the last second."""
    ordered = sorted(times_ns)
    start, end = ordered[0] + SECOND_NS, ordered[-1] - SECOND_NS
    steady = [one for one in ordered if start <= one < end]
    mean = len(steady) * WINDOW_NS / (end - start)
    most, least = windows(steady, WINDOW_NS)
    even = sum(abs(count - mean) <= TOLERATED * mean for count in most)
    return {
        "requests": len(ordered),
        "requests_per_second": len(steady) * SECOND_NS / (end - start),
        "mean_in_window": mean,
        "fullest_ratio": max(most) / mean,
        "emptiest_ratio": min(least) / mean,
        "share_within_tolerance": even / len(most),
        "longest_gap_ms": max(b - a for a, b in pairwise(steady)) / 1e6,
    }


async def timer_lag(lags_ns: list[int]) -> None:
    """Keep how late this process's own timers of 5 ms are."""
    while True:
        due_ns = time.monotonic_ns() + 5_000_000
        await asyncio.sleep(0.005)
        lags_ns.append(max(0, time.monotonic_ns() - due_ns))


async def measure(folder: Path, rps: int, workers: int, seconds: int) -> dict[str, float]:
    """A run at this rate, as the server saw it."""
    source = folder / "in.jsonl"
    with source.open("w") as file:
        for row in range(rps * seconds):
            file.write(json.dumps({"text": f"{row}: all work and no play"}) + "\n")
    lags_ns: list[int] = []
    async with Arrivals(ANSWER_SECONDS) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "penstock.cli", "run", str(source), "--keep", "none"),
            *("--output", str(folder / "out.parquet"), "--base-url", server.base_url),
            *("--model", "bench", "--prompt", "{{ text }}", "--rps", str(rps)),
            *("--workers", str(workers), "--max-concurrency", str(rps // 4)),
            *("--progress", "off", "--metrics-port", "off"),
        )
        await server.first.wait()
        watching = asyncio.create_task(timer_lag(lags_ns))
        if await process.wait():
            sys.exit("the run failed")
        watching.cancel()
        lags_ns.sort()
        figures = figures_of(server.times_ns)
    figures["server_timer_lag_p99_ms"] = lags_ns[len(lags_ns) * 99 // 100] / 1e6
    figures["server_timer_lag_worst_ms"] = lags_ns[-1] / 1e6
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rps", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        about = machine(Path(name))
        figures = uvloop.run(
            measure(Path(name), options.rps, options.workers, max(4, options.seconds))
        )
    what = f"{options.rps} requests/s over {options.workers} workers, as the server saw them"
    asked = {"rps": options.rps, "workers": options.workers, "seconds": options.seconds}
    tell("pacing", what, asked, figures, about, options.save)


if __name__ == "__main__":
    main()
