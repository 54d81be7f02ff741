"""Reads the input ahead of the workers, on a thread, and never far ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from penstock.engine.leases import Ranges
from penstock.ledger.mark import ShardMark
from penstock.ledger.rows import RowSet
from penstock.sources.shard import Cursor, Shard, check_unchanged

SHARDS_AT_ONCE = 16
BYTES_AT_ONCE = 4 << 20


class Feeder:
    """The shards that still have rows to be asked for, in input order.

    `done` rows are left out, so are rows from `limit` on, and those not in `target` where one is
    given. A shard that an earlier epoch read must be what it was then: `known` has those, by first
    row.
    """

    def __init__(
        self,
        shards: Iterator[Shard],
        known: Mapping[int, ShardMark],
        done: RowSet,
        limit: int | None,
        target: RowSet | None,
    ) -> None:
        self._shards = shards
        self._known = known
        self._done = done
        self._limit = limit
        self._target = target
        self._thread = ThreadPoolExecutor(1, "penstock-read")
        self._closed = False
        self.exhausted = False
        self.rows_read = 0  # the number of the first row that was not read
        self.ends: list[Cursor] = []  # where each shard ended that was read; for the taker to clear

    async def next(self) -> list[tuple[Shard, Ranges]]:
        """Some shards more, with the rows wanted of each; none at the input's end.

        Raises InputError where the input can't be read on.
        """
        loop = asyncio.get_running_loop()
        # `exhausted` changes here, in the step that hands the last shards on: were the thread to
        # set it, the run would look complete while they are still on their way.
        found, self.exhausted = await loop.run_in_executor(self._thread, self._read)
        return found

    def _read(self) -> tuple[list[tuple[Shard, Ranges]], bool]:
        """Shards with rows to be asked for, and whether those were the last."""
        found: list[tuple[Shard, Ranges]] = []
        size = 0
        while not self._closed and len(found) < SHARDS_AT_ONCE and size < BYTES_AT_ONCE:
            shard = next(self._shards, None)
            if shard is None:
                return found, True
            if (mark := self._known.get(shard.first_row)) is not None:
                check_unchanged(shard, mark.rows, mark.checksum)
            self.ends.append(shard.next)
            end = shard.first_row + shard.rows
            is_last = self._limit is not None and end >= self._limit
            if is_last and self._limit is not None:
                end = self._limit
            self.rows_read = max(self.rows_read, end)
            if wanted := self._wanted(shard.first_row, end):
                found.append((shard, wanted))
                size += len(shard.payload)
            if is_last:
                return found, True
        return found, False

    def _wanted(self, start: int, end: int) -> Ranges:
        missing = list(self._done.missing(start, end))
        if self._target is None:
            return missing
        return [
            (row, row + 1)
            for first, last in missing
            for row in range(first, last)
            if row in self._target
        ]

    def close(self) -> None:
        """Stop reading; a thread that is reading stops at the next shard."""
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)
