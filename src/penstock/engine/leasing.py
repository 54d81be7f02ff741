"""Leasing: reads on as far as the workers gave credit, and sends them what they can take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from penstock.engine.crew import Crew
from penstock.engine.feeder import Feeder
from penstock.engine.leases import Grant, LeaseTable, Ranges
from penstock.engine.messages import Lease
from penstock.engine.plan import Plan, Turns
from penstock.ledger.rows import RowSet
from penstock.observe.state import RunState
from penstock.sources.shard import Cursor, Shard

GATE_NS = 1_000_000_000  # how long the first ready worker waits for the others


class Leasing:
    """The rows of a run on their way from the input to the workers."""

    def __init__(self, plan: Plan, crew: Crew, state: RunState) -> None:
        self._plan = plan
        self._crew = crew
        self._state = state
        self._feeder = Feeder(
            plan.shards, plan.known_shards, plan.books.done, plan.job.limit, plan.target
        )
        self.table = LeaseTable(plan.books.done, plan.first_slots, plan.rows_at_once)
        self._gate_open = False
        self._first_ready_ns = 0
        self._hungry = asyncio.Event()
        self._idle = asyncio.Event()
        self._rows_read = 0

    @property
    def done(self) -> bool:
        """Whether the input is at its end, and nothing of it waits, is held or is deferred."""
        return self._feeder.exhausted and self.table.idle and not len(self.table.deferred)

    async def feed(self) -> None:
        """Keep the lease table supplied to the input's end, in as many turns as it takes.

        Raises InputError where the input can't be read on, LedgerError where the disk fails.
        """
        await self._read_on(self._plan.books.has_read)
        if self._plan.turns is None:
            self._crew.tell_exhausted()
        else:
            await self._go_round(self._plan.turns)
        if self._plan.target is None:
            self._state.total = max(self._rows_read, self._plan.books.done.low_water)

    async def _go_round(self, turns: Turns) -> None:
        """Lease what was deferred, turn by turn, each with what was asked before on a shelf.

        In each turn a row of those that ask the same ends, and in the next all others do by it.
        """
        while True:
            # Else a row that no server can answer would keep its turn open for ever.
            self._crew.tell_exhausted()
            while not self.table.idle:
                self._idle.clear()
                await self._idle.wait()
            if not len(self.table.deferred):
                return
            self._crew.know(await asyncio.to_thread(turns.shelve))
            self._feeder.close()
            self._feeder = Feeder(
                turns.shards(self._plan.books.cursor),
                self._plan.known_shards,
                self._plan.books.done,
                self._plan.job.limit,
                self.table.deferred,
            )
            self.table.deferred = RowSet()
            await self._read_on(lambda ends: None)

    async def _read_on(self, has_read: Callable[[Sequence[Cursor]], None]) -> None:
        """Keep the lease table supplied, as long as the workers have credit that it can't meet."""
        while not self._feeder.exhausted:
            while not self.table.hungry:
                await self._hungry.wait()
                self._hungry.clear()
            fresh = await self._feeder.next()
            has_read(self._feeder.ends)
            self._feeder.ends.clear()
            self._rows_read = max(self._rows_read, self._feeder.rows_read)
            for shard, wanted in fresh:
                self.table.add_shard(shard, wanted)
            self.grant()

    def open_gate(self, now_ns: int) -> None:
        """Lease nothing before all workers are ready, or the first has waited long enough.

        Workers that still import modules compete for the cores with those that send at a paced
        rate.
        """
        ready = self._crew.ready
        if self._gate_open or not ready:
            return
        self._first_ready_ns = self._first_ready_ns or now_ns
        if ready >= self._plan.workers or now_ns - self._first_ready_ns > GATE_NS:
            self._gate_open = True
            self._state.phase = "running"
            self._state.running_since_ns = now_ns

    def defer(self, worker: int, rows: Sequence[int]) -> None:
        """A worker dropped rows, which another turn is to see."""
        self.table.defer(worker, rows)

    def give_credit(self, worker: int, rows: int) -> None:
        """A worker can take more rows."""
        self.table.give_credit(worker, rows)
        self.grant()

    def grant(self) -> None:
        """Send what there is credit for, and have more read where that was not all."""
        if not self._gate_open or self._crew.draining:
            return
        if self.table.idle:
            self._idle.set()
        for grant in self.table.grants():
            self._send(grant)
        if self.table.hungry:
            self._hungry.set()

    def grant_to(self, worker: int, shard: Shard, wanted: Ranges) -> None:
        """Send rows to one worker whatever its credit (the quarantine's way)."""
        self._send(self.table.grant_to(worker, shard, wanted))

    def close(self) -> None:
        """Read no more."""
        self._feeder.close()

    def _send(self, grant: Grant) -> None:
        shard = grant.shard
        lease = Lease(
            grant.lease,
            shard.kind,
            shard.file,
            shard.first_row,
            shard.rows,
            shard.first_line,
            shard.checksum,
            grant.wanted,
            grant.condemned,
        )
        self._crew.send(grant.worker, lease, shard.payload)
