"""From all verified copies of a range of rows to one result a row, in order: the merge.

Which copy counts is decided in `choice`; here the copies of a range are brought together, and the
rows with only one, nearly all, pass without being looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from penstock.ledger.choice import Copy, choose
from penstock.ledger.copies import Batch, Copies, Sweep, fitting_end
from penstock.ledger.schema import RESULT_SCHEMA
from penstock.record import SUCCEEDED

RANGE_ROWS = 1 << 16
RANGE_BYTES = 32 << 20


class Merged(NamedTuple):
    """The results of the rows start..end, one a row, ascending; a row without one is left out."""

    start: int
    end: int
    results: pa.RecordBatch
    duplicates: int  # copies beyond the first within a generation

    @property
    def missing(self) -> int | None:
        """The first row without a result, if there is one."""
        rows = self.results["row"]
        if len(rows) == self.end - self.start:
            return None
        held = rows.to_pylist()
        return next(
            (want for want, row in enumerate(held, self.start) if want != row),
            self.start + len(held),
        )


class Merge:
    """Merges ascending ranges of rows; no range may begin before the one before it ended."""

    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        self._sweep = Sweep(copies.batches)

    def merge(self, start: int, end: int) -> Merged:
        """The rows from `start` up to `end`, or an earlier end if that would take much memory.

        Raises LedgerError where a batch can't be read any more.
        """
        batches = self._sweep.overlapping(start, end)
        end = fitting_end(batches, start, end, RANGE_BYTES)
        batches = sorted(
            (batch for batch in batches if batch.first_row < end),
            key=lambda batch: (batch.segment, batch.number),
        )
        parts = [self._read(batch, start, end) for batch in batches]
        table = pa.Table.from_batches(parts, RESULT_SCHEMA)
        chosen, duplicates = pick(table, batches, [part.num_rows for part in parts])
        return Merged(start, end, single_batch(table.take(chosen)), duplicates)

    def _read(self, batch: Batch, start: int, end: int) -> pa.RecordBatch:
        """The rows of a batch from `start` up to `end`."""
        content = self._copies.read(batch)
        if start <= batch.first_row and batch.last_row < end:
            return content
        return rows_within(content, start, end)

    def ranges(self, end: int) -> Iterator[Merged]:
        """All rows from 0 up to `end`."""
        start = 0
        while start < end:
            merged = self.merge(start, min(start + RANGE_ROWS, end))
            yield merged
            start = merged.end


def rows_within(batch: pa.RecordBatch, start: int, end: int) -> pa.RecordBatch:
    """The rows of `batch` from `start` up to `end`."""
    rows = batch["row"]
    # Typed scalars: Arrow takes 50 microseconds to find out the type of a Python integer.
    first, last = pa.scalar(start, pa.int64()), pa.scalar(end - 1, pa.int64())
    return batch.filter(pc.and_(pc.greater_equal(rows, first), pc.less_equal(rows, last)))


def pick(table: pa.Table, batches: list[Batch], sizes: list[int]) -> tuple[pa.Array, int]:
    """The places in `table` of the copies that count, by ascending row; and how many duplicates.

    `table` holds the batches one after the other, `sizes` rows of each, in the order of choice.
    """
    order = pc.sort_indices(table, sort_keys=[("row", "ascending")])
    rows = table["row"].take(order)
    if len(rows) < 2 or not pc.any(pc.equal(rows[1:], rows[:-1])).as_py():
        return order, 0
    sources = [batch for batch, size in zip(batches, sizes, strict=True) for _ in range(size)]
    outcomes = table["outcome"]
    chosen: list[int] = []
    duplicates = 0
    places = zip(rows.to_pylist(), order.to_pylist(), strict=True)
    for _, group in groupby(places, key=lambda one: one[0]):
        indices = [index for _, index in group]
        if len(indices) == 1:
            chosen.append(indices[0])
            continue
        copies = {copy_at(sources[at], outcomes[at].as_py(), at): at for at in indices}
        chosen.append(copies[choose(copies)])
        duplicates += len(copies) - len({copy.generation for copy in copies})
    return pa.array(chosen, pa.int64()), duplicates


def copy_at(batch: Batch, outcome: str, index: int) -> Copy:
    """A copy as the decision sees it; `index`, in the table, orders copies within one batch."""
    return Copy(
        batch.generation, outcome == SUCCEEDED, *batch.segment, batch=batch.number, position=index
    )


def single_batch(table: pa.Table) -> pa.RecordBatch:
    """A table as one batch."""
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)
