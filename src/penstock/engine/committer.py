"""From results to the disk: gathers a worker's results into batches and says what is there for
good.

The event loop only gathers results. One thread encodes and writes a batch at 256 results, 8 MiB
or 250 ms, so that a killed process loses no more; another syncs every second, so that rows are told
as committed only once they survive a power loss. One sync is in flight at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from penstock._core import monotonic_ns
from penstock.ledger.mark import ShardMark
from penstock.ledger.schema import batch_of, size_of
from penstock.ledger.segment import SegmentWriter
from penstock.ledger.written import Written
from penstock.record import Result

BATCH_RESULTS = 256
BATCH_BYTES = 8 << 20
BATCH_NS = 250_000_000
SYNC_NS = 1_000_000_000
MOST_UNWRITTEN = 32  # batches; beyond that the disk is what limits


class Committer:
    """One for each worker. `committed` is called on the loop with what became durable."""

    def __init__(
        self,
        writer: SegmentWriter,
        committed: Callable[[list[Written]], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._writer = writer
        self._committed = committed
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._results: list[Result] = []
        self._size_bytes = 0  # of the batch that they would make, roughly
        self._shards: set[ShardMark] = set()
        self._shard: ShardMark | None = None  # of the newest result
        self._oldest_ns = 0
        self._synced_ns = monotonic_ns()
        self._writes: set[asyncio.Future[None]] = set()
        self.congested = False  # the disk is behind: no further record should start
        self._unsynced = False
        self._sync: asyncio.Future[Any] | None = None
        self._writing = ThreadPoolExecutor(1, "penstock-write")
        self._syncing = ThreadPoolExecutor(1, "penstock-sync")

    def add(self, result: Result, shard: ShardMark) -> None:
        """Take a result in."""
        results = self._results
        if shard is not self._shard:  # as is the first of a batch
            if not results:
                self._oldest_ns = monotonic_ns()
            self._shard = shard
            self._shards.add(shard)
        results.append(result)
        self._size_bytes += size_of(result)
        if len(results) >= BATCH_RESULTS or self._size_bytes >= BATCH_BYTES:
            self._flush()

    def tick(self, now_ns: int, idle: bool) -> None:
        """Flush and sync what is old enough; called with every beat of the loop.

        A worker that is `idle` has no reason to wait: what it holds back may be the run's last
        rows.
        """
        if self._results and (idle or now_ns - self._oldest_ns >= BATCH_NS):
            self._flush()
        due = (idle and not self._writes) or now_ns - self._synced_ns >= SYNC_NS
        if self._unsynced and self._sync is None and due:
            self._start_sync(now_ns)

    async def close(self) -> None:
        """Write, sync and tell all that was added, and finish the segment."""
        if self._results:
            self._flush()
        while under_way := [*self._writes, *([self._sync] if self._sync else [])]:
            await asyncio.wait(under_way)
            await asyncio.sleep(0)  # the callbacks of what ended
        written = await self._loop.run_in_executor(self._syncing, self._writer.close)
        self._committed(written)

    def _flush(self) -> None:
        results, shards = self._results, sorted(self._shards)
        self._results, self._size_bytes = [], 0
        self._shards.clear()
        self._shard = None
        future = self._loop.run_in_executor(self._writing, self.write, results, shards)
        self._writes.add(future)
        self.congested = len(self._writes) >= MOST_UNWRITTEN
        future.add_done_callback(self._written)

    def write(self, results: Sequence[Result], shards: Sequence[ShardMark]) -> None:
        """Encode results and write them; this is what the writing thread does."""
        self._writer.write(batch_of(results), shards)

    def _written(self, future: asyncio.Future[None]) -> None:
        self._writes.discard(future)
        self.congested = len(self._writes) >= MOST_UNWRITTEN
        self._unsynced = True
        if (error := future.exception()) is not None:
            self._failed(error)

    def _start_sync(self, now_ns: int) -> None:
        self._synced_ns = now_ns
        self._unsynced = False
        self._sync = self._loop.run_in_executor(self._syncing, self._writer.sync)
        self._sync.add_done_callback(self._told)

    def _told(self, future: asyncio.Future[list[Written]]) -> None:
        self._sync = None
        if (error := future.exception()) is not None:
            self._failed(error)
        elif written := future.result():
            self._committed(written)
