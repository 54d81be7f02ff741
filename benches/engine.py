"""The whole engine against nginx: records per second, and CPU per record.

    python benches/engine.py [--records 40000] [--pairs 3] [--save benches/results]

nginx answers a chat completion of 0.5 KB from memory, so that all that is measured is Penstock:
input read, both kinds of buckets active (far above what is sent), requests rendered and sent,
answers judged, results written, verified and synced, checkpoint. The CPU is user + system time of
the supervisor and its workers. What does not grow with the records (starting processes) is taken
out as the difference of two run lengths; what the export took is measured by running the complete
job again, which only exports, and taken out too. A bare aiohttp loop in the same run is the
yardstick: machines differ, ratios less. With two cores or more nginx has one of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import uvloop

ANSWER = {
    "id": "chatcmpl-0123456789",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "bench",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "The answer is forty-two. " * 8},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 120, "completion_tokens": 48, "total_tokens": 168},
}

NGINX = """
daemon off;
worker_processes 1;
error_log stderr crit;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ default_type application/json; return 200 '{answer}'; }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, cores: set[int]) -> Iterator[str]:
    """A running nginx that answers everything alike; gives its base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, answer=json.dumps(ANSWER)))
    server = subprocess.Popen(["nginx", "-c", config, "-p", folder])
    os.sched_setaffinity(server.pid, cores)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait()


def write_records(path: Path, records: int) -> None:
    """Records with distinct payloads of about 0.5 KB."""
    filler = "All work and no play makes for a dull benchmark. " * 9
    with path.open("w") as file:
        for row in range(records):
            file.write(json.dumps({"id": f"r-{row}", "text": f"{row}: {filler}"}) + "\n")


def timed(command: list[str], cores: set[int]) -> tuple[float, float]:
    """Seconds of CPU (with all descendants) and of the clock that a command took."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    os.sched_setaffinity(process.pid, cores)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(said.decode())
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - began


def measure(folder: Path, base_url: str, records: int, cores: set[int]) -> tuple[float, float]:
    """CPU without export, and wall seconds, of a run of so many records."""
    source, output = folder / f"{records}.jsonl", folder / "out.parquet"
    if not source.exists():
        write_records(source, records)
    shutil.rmtree(folder / "out.parquet.run", ignore_errors=True)
    output.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "penstock.cli", "run", str(source), "--output", str(output)),
        *("--base-url", base_url, "--model", "bench", "--prompt", "{{ text }}"),
        *("--max-concurrency", "128", "--workers", "1", "--rps", "1000000"),
        *("--tpm", "100000000000", "--progress", "off", "--metrics-port", "off"),
    ]
    cpu, wall = timed(command, cores)
    export_cpu, export_wall = timed(command, cores)
    return cpu - export_cpu, wall - export_wall


async def bare_loop(base_url: str, requests: int) -> float:
    """Seconds of CPU a request in the shortest loop over aiohttp's ClientSession; a yardstick."""
    message = {"role": "user", "content": "x" * 450}
    body = json.dumps({"model": "bench", "messages": [message]}).encode()
    headers = {"Content-Type": "application/json"}
    numbers = iter(range(requests))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask() -> None:
            for _ in numbers:
                async with session.post(
                    f"{base_url}/chat/completions", data=body, headers=headers
                ) as it:
                    json.loads(await it.read())

        began = time.process_time()
        await asyncio.gather(*(ask() for _ in range(128)))
        return (time.process_time() - began) / requests


def bare(base_url: str, requests: int, cores: set[int]) -> float:
    """The yardstick, on the engine's core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        return uvloop.run(bare_loop(base_url, requests))
    finally:
        os.sched_setaffinity(0, before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=40_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    if shutil.which("nginx") is None:
        sys.exit("nginx is not installed; nothing was measured")
    all_cores = sorted(os.sched_getaffinity(0))
    engine_cores, server_cores = {all_cores[0]}, {all_cores[-1]}
    short, long = options.records // 4, options.records
    figures = []
    with tempfile.TemporaryDirectory() as name, nginx(Path(name), server_cores) as base_url:
        for _ in range(options.pairs):
            few = measure(Path(name), base_url, short, engine_cores)
            many = measure(Path(name), base_url, long, engine_cores)
            cpu, wall = ((b - a) / (long - short) for a, b in zip(few, many, strict=True))
            yardstick = bare(base_url, long // 2, engine_cores)
            figures.append(
                {
                    "cpu_microseconds": cpu * 1e6,
                    "records_per_second": 1 / wall,
                    "bare_aiohttp_microseconds": yardstick * 1e6,
                    "ratio_to_bare_aiohttp": cpu / yardstick,
                }
            )
            print(json.dumps(figures[-1]), flush=True)
    result = {
        "what": "whole engine against nginx, one worker, 128 connections, one core",
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": len(all_cores), "system": platform.platform()},
        "python": platform.python_version(),
        "records": [short, long],
        "pairs": figures,
        "median": {key: statistics.median(one[key] for one in figures) for key in figures[0]},
    }
    print(json.dumps(result["median"]))
    if options.save:
        options.save.mkdir(exist_ok=True)
        target = options.save / f"engine-{datetime.now(UTC):%Y-%m-%d}.json"
        target.write_text(json.dumps(result, indent=2) + "\n")
        print(f"saved {target}")


if __name__ == "__main__":
    main()
