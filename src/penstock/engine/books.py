"""The run's account while it is under way: what is done, and where to read on."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Iterable

import pyarrow

from penstock.disk import Disk
from penstock.engine.leases import Ranges
from penstock.ledger.account import Account
from penstock.ledger.checkpoint import write_checkpoint
from penstock.ledger.example import example
from penstock.ledger.recovery import absorb, reread
from penstock.ledger.rows import RowSet
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.written import Written
from penstock.observe.report import Failure
from penstock.sources.shard import Cursor


class Books:
    """One for each epoch of a run; `target` are the rows of a redo, None outside one."""

    def __init__(
        self,
        disk: Disk,
        run_directory: RunDirectory,
        run_id: str,
        epoch: int,
        account: Account,
        cursor: Cursor | None,
        generation: int,
        target: RowSet | None,
    ) -> None:
        self._disk = disk
        self._run_directory = run_directory
        self._run_id = run_id
        self._epoch = epoch
        self._account = account
        self._generation = generation
        self._target = target
        self._starts: list[int] = [cursor.row if cursor else 0]  # first rows of shards read
        self._cursors: list[Cursor | None] = [cursor]
        self.examples: dict[str, Failure] = {}  # one of each class that was met in this epoch
        self.done = account.done_in(generation)

    @property
    def succeeded(self) -> int:
        """Rows of this generation that succeeded, durably."""
        if self._target is None:
            return self._account.succeeded
        return len(self.done) - sum(self.failures.values())

    @property
    def failures(self) -> dict[str, int]:
        """Rows of this generation that failed, durably, by error class."""
        if self._target is None:
            return self._account.failures
        failed = self._account.failed.items()
        counts = {name: common(rows, self.done) for name, rows in failed}
        return {name: count for name, count in sorted(counts.items()) if count}

    @property
    def cursor(self) -> Cursor | None:
        """Where to read on so as to meet every row that is not done; None: from the start."""
        return self._cursor_at(self.done.low_water if self._target is None else 0)

    def missing(self, ranges: Ranges) -> Ranges:
        """The rows of `ranges` that are not done."""
        return [gap for start, end in ranges for gap in self.done.missing(start, end)]

    def has_read(self, ends: Iterable[Cursor]) -> None:
        """Shards were read from the input, one after the other."""
        for end in ends:
            self._starts.append(end.row)
            self._cursors.append(end)

    def absorb(self, written: Iterable[Written]) -> None:
        """Count batches that are durable."""
        for one in written:
            self._account.add(one, self._reread)
            for error_class in one.failed.keys() - self.examples.keys():
                batch = self._reread(one)
                at = batch["error_class"].to_pylist().index(error_class)
                self.examples[error_class] = example(batch, at)

    def _reread(self, told: Written) -> pyarrow.RecordBatch:
        return reread(self._run_directory, self._run_id, told)

    def untold(self, worker: int) -> list[Written]:
        """What a dead worker of this epoch wrote and did not tell, made durable. It blocks.

        Raises LedgerError.
        """
        told = dict(self._account.segments)
        return absorb(self._disk, self._run_directory, self._run_id, self._epoch, worker, told)

    async def checkpoint(self) -> None:
        """Write a checkpoint of what is known now. Raises LedgerError."""
        cursor = self.cursor
        checkpoint = self._account.checkpoint(
            run_id=self._run_id,
            epoch=self._epoch,
            generation=self._generation,
            written_at=time.time(),
            cursor=cursor,
        )
        await asyncio.to_thread(write_checkpoint, self._disk, self._run_directory, checkpoint)

    def _cursor_at(self, row: int) -> Cursor | None:
        """Where to read on so as to meet `row`; forgets all before that."""
        at = bisect_right(self._starts, row) - 1
        del self._starts[:at], self._cursors[:at]
        if self._target is None:
            self._account.forget_shards(self._starts[0])
        return self._cursors[0]


def common(left: RowSet, right: RowSet) -> int:
    """How many rows are in both sets."""
    first, second = (int.from_bytes(rows.to_bytes(), "little") for rows in (left, right))
    return (first & second).bit_count()
