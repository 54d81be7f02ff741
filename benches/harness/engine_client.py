"""Penstock as a client: the whole command, with its default options but for what is measured.

One worker on one core; 128 requests at once, as all clients have; and a limit of requests and one
of tokens, far above what is sent, so that both kinds of buckets are active.
"""

from __future__ import annotations

import shutil
import sys
from functools import partial

from harness.client import CONNECTIONS, Client, Prepared, Task
from harness.machine import penstock_version
from harness.records import records_file

PENSTOCK = [sys.executable, "-m", "penstock.cli"]
SHAPE = [
    *("--model", "bench", "--prompt", "{{ text }}"),
    *("--max-concurrency", str(CONNECTIONS), "--rps", "1000000", "--tpm", "100000000000"),
]


def prepare(task: Task, workers: int) -> Prepared:
    """A run from its first row, in a run directory that is new; the export is told apart."""
    source, output = records_file(task.folder, task.requests), task.folder / "out.parquet"
    shutil.rmtree(task.folder / "out.parquet.run", ignore_errors=True)
    output.unlink(missing_ok=True)
    command = [*PENSTOCK, "run", str(source), "--output", str(output), *SHAPE]
    command += ["--workers", str(workers), "--base-url", task.base_url]
    if task.ca_file:
        command += ["--ca-file", str(task.ca_file)]
    return Prepared(command, mark=str(task.folder / ".out.parquet.*.tmp"))


def engine(name: str, workers: int) -> Client:
    """The engine with so many workers."""
    return Client(
        name=name,
        what="the whole engine: JSONL in, limits, retries, metrics, verified and fsynced Arrow out",
        prepare=partial(prepare, workers=workers),
        version=penstock_version,
    )


ENGINE = engine("penstock", 1)
