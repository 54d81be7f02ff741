"""Every verified batch of a run: where it is and which rows it spans, from one pass over all.

A batch holds the results of one worker in the order in which they came, so that its rows are near
each other but not in order, and late retries are far behind. What is kept in memory is a few words
a batch, a few megabytes for ten million rows; the rows themselves are read again, range by range,
by those who merge them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from penstock.ledger.mark import SegmentName, ShardMark
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.segment_reader import SegmentReader, VerifiedBatch, read_batch


class Batch(NamedTuple):
    """A verified batch: where it is, and what it spans. Ascending is by its first row."""

    first_row: int
    last_row: int
    segment: SegmentName
    number: int
    generation: int
    rows: int
    start_bytes: int
    size_bytes: int


class SegmentState(msgspec.Struct, frozen=True):
    """A segment as it was found."""

    name: str
    size_bytes: int
    verified_bytes: int
    batches: int
    is_torn: bool  # it has no end, or bytes in it do not verify


class Copies:
    """All verified copies of rows, on a live run or a finished one; nothing is changed.

    `seen` is shown every verified batch. Raises LedgerError where the disk can't be read.
    """

    def __init__(
        self,
        run_dir: RunDirectory,
        run_id: str,
        seen: Callable[[VerifiedBatch], None] = lambda batch: None,
    ) -> None:
        self.run_dir = run_dir
        self.run_id = run_id
        self.segments: list[SegmentState] = []
        self.batches: list[Batch] = []
        self.shards: dict[int, ShardMark] = {}  # by first row: those of which a result is there
        for name, size_bytes in run_dir.segment_sizes().items():
            reader = SegmentReader(run_dir.segment_path(name), run_id)
            for found in reader:
                self._add(name, found)
                seen(found)
            self.segments.append(
                SegmentState(
                    str(name), size_bytes, reader.verified_bytes, reader.batches, reader.is_torn
                )
            )
        self.batches.sort()

    @property
    def end(self) -> int:
        """One beyond the last row of which there is a copy."""
        return 1 + max((batch.last_row for batch in self.batches), default=-1)

    def read(self, batch: Batch) -> pa.RecordBatch:
        """The content of a batch, verified anew. Raises LedgerError if it does not verify."""
        path = self.run_dir.segment_path(batch.segment)
        return read_batch(path, self.run_id, batch.start_bytes, batch.number)

    def _add(self, name: SegmentName, found: VerifiedBatch) -> None:
        span = pc.min_max(found.batch["row"]).as_py()
        if span["min"] is None:
            return
        for shard in found.mark.shards:
            self.shards[shard.first_row] = shard
        self.batches.append(
            Batch(
                span["min"],
                span["max"],
                name,
                found.mark.batch,
                found.mark.generation,
                found.mark.rows,
                found.start_bytes,
                found.end_bytes - found.start_bytes,
            )
        )


class Sweep:
    """Goes over the batches in ascending rows, so that each range looks only at those near it."""

    def __init__(self, batches: list[Batch]) -> None:
        self._coming = iter(batches)
        self._next = next(self._coming, None)
        self._open: list[Batch] = []

    def overlapping(self, start: int, end: int) -> list[Batch]:
        """The batches with a row in start..end, perhaps; no call may go back before another."""
        while self._next is not None and self._next.first_row < end:
            self._open.append(self._next)
            self._next = next(self._coming, None)
        self._open = [batch for batch in self._open if batch.last_row >= start]
        return [batch for batch in self._open if batch.first_row < end]


def fitting_end(batches: list[Batch], start: int, end: int, size_bytes: int) -> int:
    """`end`, or an earlier one, so that the results of start..end take about `size_bytes`.

    `batches` are those that overlap; a row is taken to be as large as theirs are on average, since
    where in a batch's span its rows lie is not known.
    """
    while end - start > 1:
        near = [batch for batch in batches if batch.first_row < end]
        rows = sum(batch.rows for batch in near)
        size = sum(batch.size_bytes for batch in near)
        if (end - start) * size <= size_bytes * max(1, rows):
            break
        end = start + (end - start) // 2
    return end
