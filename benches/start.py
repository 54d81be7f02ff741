"""How long the command takes to begin: to its help, and to the first request.

    python benches/start.py [--times 7] [--workers 2] [--save benches/results]

The first request is timed where it arrives: from before the command's process is made to when a
server on the loopback has all of it. What an interpreter needs to start and do nothing, in the same
run, is the yardstick.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from arrivals import Arrivals
from harness.machine import machine
from harness.plain import tell

COMMAND = (str(Path(sys.executable).with_name("penstock")),)


def seconds_of(command: list[str]) -> float:
    """Seconds of the clock that a command takes."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


async def first_request(folder: Path, workers: int) -> tuple[float, float]:
    """Seconds from the command to its first request at the server, and seconds of CPU in all."""
    source = folder / "in.jsonl"
    source.write_text("".join(json.dumps({"text": f"record {n}"}) + "\n" for n in range(1000)))
    before = os.times()
    with tempfile.TemporaryDirectory(dir=folder) as name:
        async with Arrivals() as server:
            began_ns = time.monotonic_ns()
            process = await asyncio.create_subprocess_exec(
                *COMMAND,
                *("run", str(source), "--output", f"{name}/out.jsonl", "--progress", "off"),
                *("--base-url", server.base_url, "--model", "bench", "--prompt", "{{ text }}"),
                *("--workers", str(workers), "--metrics-port", "off"),
            )
            if await process.wait():
                sys.exit("the run failed")
            after = os.times()
            cpu = sum(after[2:4]) - sum(before[2:4])
            return (server.times_ns[0] - began_ns) / 1e9, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    bare, helped, first, cpu = [], [], [], []
    with tempfile.TemporaryDirectory() as name:
        about = machine(Path(name))
        for _ in range(options.times):
            bare.append(seconds_of([sys.executable, "-c", "pass"]))
            helped.append(seconds_of([*COMMAND, "--help"]))
            seconds, busy = uvloop.run(first_request(Path(name), options.workers))
            first.append(seconds)
            cpu.append(busy)
    figures = {
        "bare_interpreter_seconds": statistics.median(bare),
        "help_seconds": statistics.median(helped),
        "first_request_seconds": statistics.median(first),
        "first_request_worst_seconds": max(first),
        "whole_run_cpu_seconds": statistics.median(cpu),
    }
    what = "from the command to its help, and to its first request at a server"
    asked = {"times": options.times, "workers": options.workers}
    tell("start", what, asked, figures, about, options.save)


if __name__ == "__main__":
    main()
