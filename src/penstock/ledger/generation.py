"""Generations: each `redo` is a set of rows to ask again, under a job of its own.

A redo's rows and job are durable before it leases, so that one that was interrupted is found again
and carried on. It is unfinished as long as a row of it is not done in its generation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa

from penstock.disk import Disk
from penstock.errors import LedgerError
from penstock.ledger.rows import RowSet
from penstock.ledger.run_directory import RunDirectory, scan
from penstock.ledger.sealed_table import load, pack

SCHEMA: Final = pa.schema(
    [pa.field("start", pa.int64(), nullable=False), pa.field("end", pa.int64(), nullable=False)]
)


class Head(msgspec.Struct, frozen=True):
    """The part of a generation's file that is no table."""

    run_id: str
    number: int
    created_at: str
    job: dict[str, Any]


class Generation(msgspec.Struct, frozen=True):
    """A redo: its number, from 1, the rows it asks again, and its job as the manifest has one."""

    number: int
    created_at: str  # ISO 8601, UTC
    job: dict[str, Any]
    rows: RowSet

    def is_finished(self, done: RowSet | None) -> bool:
        """Whether all its rows are among `done`, those done in this generation."""
        done = done or RowSet()
        return not any(True for part in self.rows.ranges() for _ in done.missing(*part))


def begin_redo(
    disk: Disk,
    run_dir: RunDirectory,
    run_id: str,
    rows: RowSet,
    job: dict[str, Any],
    created_at: str,
) -> Generation:
    """A new generation, durable when this returns; to be called with the lock held."""
    number = 1 + max((one.number for one in read_generations(run_dir, run_id)), default=0)
    generation = Generation(number, created_at, job, rows)
    disk.replace_file(run_dir.generations / f"{number}.arrow", encode(generation, run_id))
    return generation


def read_generations(run_dir: RunDirectory, run_id: str) -> list[Generation]:
    """All redos of a run, in order.

    Raises LedgerError for one that can't be trusted: without its rows nobody can tell which copies
    belong together.
    """
    paths = {
        int(Path(entry.name).stem): run_dir.generations / entry.name
        for entry in scan(run_dir.generations)
        if entry.name.removesuffix(".arrow").isdecimal()
    }
    return [read_generation(paths[number], number, run_id) for number in sorted(paths)]


def unfinished(generations: list[Generation], done: dict[int, RowSet]) -> Generation | None:
    """The redo that was interrupted, if one was."""
    open_ones = [one for one in generations if not one.is_finished(done.get(one.number))]
    return open_ones[-1] if open_ones else None


def asked_again(generations: list[Generation]) -> RowSet:
    """The rows of all redos."""
    rows = RowSet()
    for generation in generations:
        rows.update(generation.rows)
    return rows


def encode(generation: Generation, run_id: str) -> bytes:
    head = Head(run_id, generation.number, generation.created_at, generation.job)
    ranges = list(generation.rows.ranges())
    columns = [pa.array([one[side] for one in ranges], pa.int64()) for side in (0, 1)]
    return pack(pa.RecordBatch.from_arrays(columns, schema=SCHEMA), msgspec.json.encode(head))


def read_generation(path: Path, number: int, run_id: str) -> Generation:
    """The generation in a file; raises LedgerError unless it is this run's, and whole."""
    found = load(path, SCHEMA)
    if found is not None:
        batch, encoded = found
        head = msgspec.json.decode(encoded, type=Head)
        if (head.run_id, head.number) == (run_id, number):
            ranges = zip(batch["start"].to_pylist(), batch["end"].to_pylist(), strict=True)
            return Generation(number, head.created_at, head.job, RowSet(ranges))
    raise LedgerError(
        f"{path} is damaged, or of another run",
        "Restore it from a copy. If the redo matters to nobody, remove it together with the "
        "segments of its epochs.",
    )
