"""What a long run costs its supervisor: CPU per record, memory, resuming, and the export.

    python benches/scale.py [--rows 10000000] [--workers 2] [--save benches/results]

The workers ask nobody (null_worker.py): rows end at once, and are written, synced and told as
always, so that what is measured is the supervisor, and a run of millions takes minutes. In order:

1. a run of a tenth of the rows, and one of nine tenths, without its export: CPU per record is the
   difference of the supervisor's CPU, so that starting is taken out; memory is the peak of each;
2. the second run's export, by the same command again;
3. the run resumed without its limit: seconds until the first request of a real worker arrives at a
   server, beside those of a new run of the same input.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import null_worker
import uvloop
from arrivals import Arrivals
from harness.machine import machine
from harness.plain import tell

NOWHERE = "http://127.0.0.1:9/v1"
FILLER = "All work and no play makes for a dull benchmark. " * 7


def write_input(path: Path, rows: int) -> None:
    """Lines of about 0.4 KB."""
    with path.open("w", buffering=1 << 20) as file:
        for row in range(rows):
            file.write(f'{{"id": "r-{row}", "text": "{row}: {FILLER}"}}\n')


class Bench:
    """The runs of one measurement, in one folder."""

    def __init__(self, folder: Path, rows: int, workers: int) -> None:
        self.folder = folder
        self.rows = rows
        self.workers = workers
        self.source = folder / "in.jsonl"
        self.null = null_worker.environment(folder)

    def command(self, name: str, *more: str, base_url: str = NOWHERE) -> list[str]:
        """The command of a run; its output and its run directory are called `name`."""
        return [
            *(sys.executable, "-m", "penstock.cli", "run", str(self.source)),
            *("--output", str(self.folder / f"{name}.parquet"), "--base-url", base_url),
            *("--model", "bench", "--prompt", "{{ text }}", "--max-concurrency", "512"),
            *("--workers", str(self.workers), "--progress", "off", "--metrics-port", "off"),
            *("--allow-failed", "1%", *more),
        ]

    def run(self, name: str, limit: int) -> dict[str, float]:
        """Run to the limit with workers that ask nobody, and stop where the export begins."""
        process = subprocess.Popen(self.command(name, "--limit", str(limit)), env=self.null)
        began = time.perf_counter()
        log = self.folder / f"{name}.parquet.run" / "log.jsonl"
        cpu = peak = 0.0
        worked = False
        while process.poll() is None:
            worked = worked or has_children(process.pid)
            if worked and not has_children(process.pid):
                process.send_signal(signal.SIGINT)
                break
            cpu, peak = max(cpu, cpu_of(process.pid)), max(peak, peak_of(process.pid))
            time.sleep(0.02)
        wall = time.perf_counter() - began
        if process.wait() not in (0, 130):
            sys.exit(f"the run failed; see {log}")
        return {"cpu_seconds": cpu, "peak_mb": peak, "wall_seconds": wall}

    def export(self, name: str, limit: int) -> dict[str, float]:
        """The same command again, which only exports."""
        process = subprocess.Popen(self.command(name, "--limit", str(limit)), env=self.null)
        began = time.perf_counter()
        cpu = peak = 0.0
        while process.poll() is None:
            cpu, peak = max(cpu, cpu_of(process.pid)), max(peak, peak_of(process.pid))
            time.sleep(0.02)
        if process.returncode:
            sys.exit("the export failed")
        wall = time.perf_counter() - began
        return {
            "rows_per_second": limit / wall,
            "rows_per_cpu_second": limit / cpu,
            "peak_mb": peak,
        }

    async def first_request(self, name: str) -> dict[str, float]:
        """From the command to the first request of real workers: seconds, and the supervisor's."""
        async with Arrivals() as server:
            began_ns = time.monotonic_ns()
            command = self.command(name, base_url=server.base_url)
            process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.DEVNULL)
            ended = asyncio.create_task(process.wait())
            first = asyncio.create_task(server.first.wait())
            await asyncio.wait((ended, first), return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                sys.exit(f"the run ended with {ended.result()} before its first request")
            cpu = cpu_of(process.pid)
            process.send_signal(signal.SIGINT)
            await ended
            seconds = (server.times_ns[0] - began_ns) / 1e9
            return {"first_request_seconds": seconds, "first_request_cpu_seconds": cpu}


def has_children(pid: int) -> bool:
    """Whether a process has children now."""
    try:
        return bool(Path(f"/proc/{pid}/task/{pid}/children").read_text())
    except OSError:
        return False


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process took so far, without its children."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_of(pid: int) -> float:
    """The most memory that a process had resident, in MB."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    peaks = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(peaks[0].split()[1]) * 1024 / 1e6 if peaks else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    rows = options.rows
    few, many = rows // 10, rows * 9 // 10
    with tempfile.TemporaryDirectory() as name:
        about = machine(Path(name))
        bench = Bench(Path(name), rows, options.workers)
        write_input(bench.source, rows)
        size = bench.source.stat().st_size
        short, long = bench.run("few", few), bench.run("many", many)
        cpu = (long["cpu_seconds"] - short["cpu_seconds"]) / (many - few)
        figures = {
            "supervisor_cpu_microseconds_per_record": cpu * 1e6,
            "supervisor_peak_mb_few": short["peak_mb"],
            "supervisor_peak_mb_many": long["peak_mb"],
            "records_per_second": (many - few) / (long["wall_seconds"] - short["wall_seconds"]),
        }
        exported = bench.export("many", many)
        figures |= {f"export_{name}": value for name, value in exported.items()}
        for kind, run in (("fresh", "fresh"), ("resumed", "many")):
            began = uvloop.run(bench.first_request(run))
            figures |= {f"{kind}_{name}": value for name, value in began.items()}
    what = "the supervisor of a long run, with workers that ask nobody"
    asked = {"rows": rows, "few": few, "many": many, "input_bytes": size, "workers": bench.workers}
    tell("scale", what, asked, figures, about, options.save)


if __name__ == "__main__":
    main()
