"""What is known of a run's rows: which are done, how they ended, and what they cost.

The supervisor adds what workers committed, recovery what it reads; both by the same `add`, so that
the figures after a crash are those before it. A batch of rows that nobody has counted yet costs a
few additions. Only where rows may have several copies is the batch read again, row by row: a second
copy within a generation adds nothing, and one of another generation may take the first one's place.

Within a generation the copy that is added first counts. Recovery adds in the order of choice, so
that this is the copy that `choose` would pick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import pyarrow as pa

from penstock.ledger.checkpoint import Checkpoint, VerifiedLength
from penstock.ledger.choice import Copy, choose
from penstock.ledger.mark import SegmentName, ShardMark
from penstock.ledger.rows import RowSet
from penstock.ledger.written import SUMMED, Spent, Written
from penstock.record import DUPLICATE, REUSED, SUCCEEDED
from penstock.sources.shard import Cursor

Reread = Callable[[Written], pa.RecordBatch]


class Ending(NamedTuple):
    """How a row ended by one copy of it."""

    copy: Copy
    error_class: str | None
    spent: Spent


class Account:
    """The figures of a run's rows.

    `again` are the rows of all redos: those that may have copies in several generations.
    """

    def __init__(self, again: RowSet | None = None) -> None:
        self.done: dict[int, RowSet] = {0: RowSet()}  # by generation
        self.failed: dict[str, RowSet] = {}  # by error class
        self.spent = Spent()
        self.paid_usd = 0.0  # by all copies of rows, those too that do not count
        self.duplicates = 0  # copies beyond the first within a generation: bought twice
        self.segments: dict[SegmentName, VerifiedLength] = {}
        self.shards: dict[int, ShardMark] = {}  # by first row
        self._again = again or RowSet()
        self._endings: dict[int, Ending] = {}  # of the rows asked again

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Account:
        """What a checkpoint of a run without redos and duplicates says."""
        account = cls()
        account.done |= {number: rows.copy() for number, rows in checkpoint.done.items()}
        account.failed = {name: rows.copy() for name, rows in checkpoint.failed.items()}
        account.spent.add(checkpoint.spent)
        account.paid_usd = checkpoint.spent.cost_usd
        account.segments = dict(checkpoint.segments)
        account.shards = {shard.first_row: shard for shard in checkpoint.shards}
        return account

    def done_in(self, generation: int) -> RowSet:
        """The rows done in a generation; the set itself, which `add` adds to."""
        return self.done.setdefault(generation, RowSet())

    @property
    def ended(self) -> int:
        """How many rows have ended."""
        if len(self.done) == 1:
            return len(self.done[0])
        union = RowSet()
        for rows in self.done.values():
            union.update(rows)
        return len(union)

    @property
    def failures(self) -> dict[str, int]:
        """How many rows failed, by error class."""
        return {name: len(rows) for name, rows in sorted(self.failed.items()) if rows}

    @property
    def succeeded(self) -> int:
        """How many rows succeeded."""
        return self.ended - sum(self.failures.values())

    def add(self, written: Written, reread: Reread) -> None:
        """Count a batch that is durable; `reread` gives it from the disk, if it has to be seen."""
        name = SegmentName.parse(written.segment)
        assert name is not None
        known = self.segments.get(name)
        if known is not None and written.batch < known.batches:
            return  # told twice: by the worker, and by a reading after its death
        self.segments[name] = VerifiedLength(written.end_bytes, written.batch + 1)
        for shard in written.shards:
            self.shards[shard.first_row] = shard
        self.paid_usd += written.spent.cost_usd
        repeated = self.done_in(written.generation).add_new(written.rows)
        if repeated or (self._again and self._touches_again(written.rows)):
            self._add_rows(reread(written), written, repeated)
            return
        self.spent.add(written.spent)
        for error_class, rows in written.failed.items():
            self.failed.setdefault(error_class, RowSet()).add_many(rows)

    def forget_shards(self, below: int) -> None:
        """Drop the shards that end at or before a row: they are never leased again."""
        self.shards = {
            first: shard for first, shard in self.shards.items() if first + shard.rows > below
        }

    def checkpoint(
        self, *, run_id: str, epoch: int, generation: int, written_at: float, cursor: Cursor | None
    ) -> Checkpoint:
        """A checkpoint of what is known; the shards are those that were not forgotten."""
        return Checkpoint(
            run_id=run_id,
            epoch=epoch,
            generation=generation,
            written_at=written_at,
            cursor=cursor,
            spent=msgspec.structs.replace(self.spent),
            duplicates=self.duplicates,
            done={number: rows.copy() for number, rows in self.done.items()},
            failed={name: rows.copy() for name, rows in self.failed.items()},
            shards=list(self.shards.values()),
            segments=dict(self.segments),
        )

    def _touches_again(self, rows: bytes) -> bool:
        return any(row in self._again for row in memoryview(rows).cast("q"))

    def _add_rows(self, batch: pa.RecordBatch, written: Written, repeated: list[int]) -> None:
        """Count the rows of a batch one by one, leaving out those counted in its generation."""
        self.duplicates += len(repeated)
        # Of a row that stands twice in one batch, all but the first are among `repeated`.
        left = {row: repeated.count(row) for row in repeated}
        for ending in reversed(endings(batch, written)):
            row, copy = ending
            if left.get(row):
                left[row] -= 1
                continue
            self._add_row(row, copy)

    def _add_row(self, row: int, ending: Ending) -> None:
        known = self._endings.get(row)
        if known is not None:
            if choose((known.copy, ending.copy)) is known.copy:
                return
            self.spent.add(known.spent, -1)
            if known.error_class is not None:
                self.failed[known.error_class].discard(row)
        if row in self._again:
            self._endings[row] = ending
        self.spent.add(ending.spent)
        if ending.error_class is not None:
            self.failed.setdefault(ending.error_class, RowSet()).add(row)


def endings(batch: pa.RecordBatch, written: Written) -> list[tuple[int, Ending]]:
    """How each row of a batch ended."""
    name = SegmentName.parse(written.segment)
    assert name is not None
    sums = zip(*(batch.column(column).to_pylist() for column in SUMMED), strict=True)
    found = []
    for position, (row, outcome, error_class, source, values) in enumerate(
        zip(
            batch.column("row").to_pylist(),
            batch.column("outcome").to_pylist(),
            batch.column("error_class").to_pylist(),
            batch.column("source").to_pylist(),
            sums,
            strict=True,
        )
    ):
        succeeded = outcome == SUCCEEDED
        copy = Copy(written.generation, succeeded, *name, batch=written.batch, position=position)
        spent = Spent(**dict(zip(SUMMED, (value or 0 for value in values), strict=True)))
        spent.reused, spent.duplicate = int(source == REUSED), int(source == DUPLICATE)
        found.append((row, Ending(copy, None if succeeded else error_class or "unknown", spent)))
    return found
