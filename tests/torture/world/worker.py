"""A worker of a simulated world: the real one, in a process that can be killed at every step."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

from penstock._core import Sending
from penstock.engine.worker import Worker
from penstock.engine.worker_process import WorkerProcess
from penstock.ledger.segment import SegmentWriter
from penstock.observe.slab_layout import C
from penstock.transport.failure import Failure
from penstock.transport.transport import Counters, Ready, Request, Response
from torture.world.machine import Killed
from torture.world.pipe import pipe
from torture.world.provider import OK, SILENT, row_of

if TYPE_CHECKING:
    from torture.world.machine import Process
    from torture.world.run import World

START_SECONDS = 0.3


class Hand(WorkerProcess):
    """In place of WorkerProcess, and what the judge knows of the worker behind it."""

    world: World
    process: Process
    worker: Worker | None = None

    def __init__(self, world: World, *args: Any, **named: Any) -> None:
        self.world = world
        super().__init__(*args, **named)
        self.name = f"worker {world.epochs}.{self.number}"
        self.unwritten: dict[int, int] = {}  # rows answered and not on the disk, since when
        self.fresh = self.retries = 0
        self._seen: set[int] = set()
        world.hands.append(self)

    async def spawn(self, region: int, inherited: Any, received: Any, lost: Any) -> None:
        machine = self.world.machine
        ours, theirs = pipe(machine)

        async def main() -> int:
            await asyncio.sleep(START_SECONDS * machine.dice.random())
            self.worker = Worker(region)
            return await self.worker.live(theirs)  # type: ignore[arg-type]

        assert machine.current is not None
        machine.current.ends.append(ours)
        self.process = self.world.spawn(self.name, main, self)
        self.process.ends.append(theirs)
        self._channel = self.world.channel(self, received, lost)
        await asyncio.get_running_loop().create_connection(lambda: self._channel, sock=ours)

    @property
    def pid(self) -> int:
        return self.number

    def kill(self) -> None:
        self.world.trouble.kill(self.process)

    def end(self) -> int:
        if self.process.alive:
            self.kill()
        assert self.process.status is not None
        return self.process.status

    def last_words(self) -> str:
        return "its last words"

    def close(self) -> None:
        self._channel.close()

    def sends(self, row: int) -> None:
        """Count a request as fresh or as a retry, and hold both against the retry budget."""
        if row not in self._seen:
            self._seen.add(row)
            self.fresh += 1
            return
        self.retries += 1
        share = 1 / self.world.plot.workers
        seconds = (self.world.machine.now_ns - self.started_ns) / 1e9
        most = 0.2 * self.fresh + 10 * share * seconds + max(1.0, 10 * share)
        # A probe may go back to the queue, and so do those in flight when the endpoint went down.
        most += 2 * self.slab.get(C.PROBES) + self.slots
        assert self.retries <= most, f"{self.retries} retries by {self.name}, {most} are allowed"


class Line:
    """In place of the transport: what is sent goes to the simulated provider."""

    def __init__(self, world: World, timeout_seconds: float) -> None:
        self.counters = Counters()
        self._world = world
        self._hand = world.hand_of(world.machine.current)
        self._timeout_seconds = timeout_seconds

    async def send(self, request: Request, ready: Ready | None = None) -> Response | Failure:
        world, machine = self._world, self._world.machine
        await asyncio.sleep(machine.dice.random() * 0.01)
        if world.provider.refuses:
            return Failure("connect", "refused", 0, machine.now_ns)
        assert ready is not None
        if (waiting := ready()) is not None:
            await waiting
        sending = ready.__self__  # type: ignore[attr-defined]
        assert isinstance(sending, Sending)
        row = row_of(request.body)
        exchange = world.judge.received(self._hand, row, sending)
        try:
            if world.trouble.crashes(self._hand, row):
                await self._crash()
            if exchange.outcome == SILENT:
                await asyncio.sleep(self._timeout_seconds)
            else:
                await asyncio.sleep(exchange.seconds)
            if exchange.outcome == OK:
                self._hand.unwritten[row] = machine.now_ns
            return world.provider.response(exchange, machine.now_ns)
        finally:
            if self._hand.process.alive:
                world.provider.ended(exchange)

    async def _crash(self) -> None:
        """As a row does that no worker survives: by a signal, or by an exception of ours."""
        await asyncio.sleep(0.01)
        if self._world.machine.dice.random() < 0.5:
            raise RuntimeError("the row broke it")
        self._world.trouble.kill(self._hand.process, signal.SIGSEGV)
        raise Killed

    async def close(self) -> None:
        pass


class Writer(SegmentWriter):
    """The real one; what it wrote is told to the judge."""

    def __init__(self, world: World, *args: Any) -> None:
        super().__init__(*args, roll_bytes=world.plot.roll_bytes)
        self._world = world
        self._hand = world.hand_of(world.machine.current)

    def write(self, batch: Any, shards: Any) -> None:
        rows = batch.column("row").to_pylist()
        try:
            super().write(batch, shards)
        except Killed:  # in the footer, maybe, with the batch before it whole
            self._world.judge.perhaps.update(rows)
            raise
        self._world.judge.wrote(self._hand, rows)
