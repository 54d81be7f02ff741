"""Workers without processes, for the real supervisor in virtual time.

They take leases, answer rows, write and tell what they wrote, beat, crash, hang and are killed as a
seed says; and they watch over what must never happen: a row served by two at once, or served again
although it is on the disk.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from random import Random
from typing import Any

import msgspec
import pyarrow as pa

from engine.virtual_time import VirtualLoop
from penstock._core import Slab
from penstock.engine.leases import Ranges
from penstock.engine.messages import (
    Committed,
    Cut,
    Drain,
    Exhausted,
    Failed,
    Fatal,
    FromWorker,
    Goodbye,
    Hello,
    Lease,
    Setup,
    Want,
)
from penstock.ledger.rows import RowSet
from penstock.ledger.written import Spent, Written
from penstock.observe.slab_layout import C, started_cell
from penstock.sources.shard import Cursor

BEAT_SECONDS = 0.05
DEAD_LETTER = "dead"

Received = Callable[["FakeWorker", FromWorker], None]
Lost = Callable[["FakeWorker"], None]


class World:
    """What happens around a supervisor, decided by a seed."""

    def __init__(self, loop: VirtualLoop, seed: int = 0, **settings: Any) -> None:
        self.loop = loop
        self.dice = Random(seed)
        self.poisoned: set[int] = set()  # rows that crash whoever serves them
        self.failing: set[int] = set()  # rows that end as dead letters
        self.answer_seconds = 0.1
        self.start_seconds = 0.2
        self.early_deaths = 0  # how many workers still die before they are ready
        self.early_status = 1  # and of what
        self.early_quarantine = False  # whether only those of the quarantine do
        self.kill_chance = 0.0  # of each beat
        self.hang_chance = 0.0
        self.fatal_row: int | None = None
        self.unspawnable = 0
        for name, value in settings.items():
            assert hasattr(self, name)
            setattr(self, name, value)
        self.workers: list[FakeWorker] = []
        self.recorded: list[list[int]] = []  # who works, at each start of a worker
        self.durable: dict[int, str] = {}  # row -> error class, by the first copy on the disk
        self.serving: dict[int, int] = {}  # row -> worker
        self.served: Counter[int] = Counter()
        self.duplicates = 0

    def make(
        self, number: int, seat: int, slots: int, slab: Slab, quarantine: bool = False
    ) -> FakeWorker:
        """In place of WorkerProcess."""
        worker = FakeWorker(self, number, seat, slots, slab, quarantine)
        self.workers.append(worker)
        return worker

    @property
    def alive(self) -> list[FakeWorker]:
        return [one for one in self.workers if one.status is None and one.spawned]

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(1000):
            while not true():  # noqa: ASYNC110  # time is virtual
                await asyncio.sleep(0.01)


class FakeWorker:
    """One incarnation; its attributes up to `was_hung` are those of a WorkerProcess."""

    def __init__(
        self, world: World, number: int, seat: int, slots: int, slab: Slab, quarantine: bool
    ) -> None:
        self.number = number
        self.seat = seat
        self.slots = slots
        self.slab = slab
        self.quarantine = quarantine
        self.pid = 1000 + number
        self.ready = self.said_goodbye = self.gone = self.accuses = self.was_hung = False
        self.failure: str | None = None
        self.world = world
        self.started_ns = world.loop.now_ns
        self.spawned = False
        self.status: int | None = None
        self.hung = self.closed = self._is_cut_off = False
        self.told_exhausted = False
        self.graces: list[float] = []
        self.setup: Setup | None = None
        self.leases: list[Lease] = []
        self.disk: list[Written] = []
        self._queue: deque[tuple[Lease, int]] = deque()
        self._answered: list[tuple[int, str]] = []
        self._busy = 0
        self._promised = 0
        self._draining = False
        self._segment_bytes = 0
        self._tasks: list[asyncio.Task[None]] = []

    # --- what the supervisor does to it ---------------------------------------------------------

    async def spawn(
        self, region: int, inherited: tuple[int, ...], received: Received, lost: Lost
    ) -> None:
        if self.world.unspawnable:
            self.world.unspawnable -= 1
            raise BlockingIOError(11, "Resource temporarily unavailable")
        self._received, self._lost = received, lost
        self.spawned = True
        self._start(self._live())
        await asyncio.sleep(0)

    def send(self, message: msgspec.Struct, payload: bytes = b"") -> None:
        if self.status is not None:
            return
        match message:
            case Setup():
                assert not self.leases
                self.setup = message
                # From now on it may write: a later supervisor must know whom to end.
                assert self.pid in self.world.recorded[-1]
            case Lease():
                self._take(message)
            case Exhausted():
                self.told_exhausted = True
            case Drain():
                self.graces.append(message.grace_seconds)
                if not self._draining:
                    self._draining = True
                    self._start(self._drain(message.grace_seconds))
            case Cut():
                self._draining = True
                self._start(self._drain(0.0))

    def silent_ns(self, now_ns: int, since_ns: int) -> int:
        return now_ns - max(self.started_ns, self.slab.get(C.HEARTBEAT_NS), since_ns)

    def kill(self) -> None:
        self.die(-signal.SIGKILL)

    def end(self) -> int:
        if self.status is None:
            self.die(-signal.SIGKILL)
        assert self.status is not None
        return self.status

    def last_words(self) -> str:
        assert not self.closed
        return "ImportError: its last words"

    def close(self) -> None:
        self.closed = True

    # --- what it does ---------------------------------------------------------------------------

    def die(self, status: int) -> None:
        """Its process is gone, and its socket ends a little later."""
        if self.status is not None:
            return
        self.status = status
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self.world.serving = {
            row: number for row, number in self.world.serving.items() if number != self.number
        }
        if not self._is_cut_off:
            self.world.loop.call_later(self.world.dice.random() * 0.01, self._lost, self)

    def cut_off(self) -> None:
        """Its socket ends, as of one that wrote garbage, and it lives on."""
        self._is_cut_off = True
        self._lost(self)

    def tell(self, message: FromWorker) -> None:
        if self.status is None and not self._is_cut_off:
            self._received(self, message)

    def _start(self, work: Awaitable[None]) -> None:
        self._tasks.append(asyncio.ensure_future(work))  # type: ignore[arg-type]

    async def _live(self) -> None:
        await asyncio.sleep(self.world.start_seconds * self.world.dice.uniform(0.2, 1))
        if self.world.early_deaths and (self.quarantine or not self.world.early_quarantine):
            self.world.early_deaths -= 1
            self.die(self.world.early_status)
            return
        self.tell(Hello(self.pid))
        while True:
            self._beat()
            await asyncio.sleep(BEAT_SECONDS)
            if self.hung:
                continue
            if self.world.dice.random() < self.world.kill_chance:
                self.die(-self.world.dice.choice([signal.SIGKILL, signal.SIGTERM]))
                return
            if self.world.dice.random() < self.world.hang_chance:
                self.hung = True

    def _beat(self) -> None:
        if self.hung:
            return
        self.slab.set(C.HEARTBEAT_NS, self.world.loop.now_ns)
        if self._answered and (self.world.dice.random() < 0.2 or not self._busy):
            self._flush()
        missing = 2 * self.slots - len(self._queue) - self._busy - self._promised
        if missing > 0 and not self._draining:
            self._promised += missing
            self.tell(Want(missing))
        self._serve_more()

    def _take(self, lease: Lease) -> None:
        rows = [row for start, end in lease.wanted for row in range(start, end)]
        self.leases.append(lease)
        assert self.quarantine or not self._draining, "a lease for one that starts nothing more"
        self._promised -= len(rows)
        for row in rows:
            assert row not in self.world.durable, f"row {row} is leased though it is on the disk"
            if lease.condemned:
                self._answered.append((row, "worker_crash"))
            else:
                self._queue.append((lease, row))
        self._serve_more()

    def _serve_more(self) -> None:
        while self._queue and self._busy < self.slots and not self._draining and not self.hung:
            _, row = self._queue.popleft()
            slot = self._busy
            self._busy += 1
            self._start(self._serve(slot, row))

    async def _serve(self, slot: int, row: int) -> None:
        world = self.world
        assert row not in world.serving, f"row {row} is served by two workers"
        assert row not in world.durable, f"row {row} is served though it is on the disk"
        world.serving[row] = self.number
        world.served[row] += 1
        slot = next(s for s in range(self.slots) if s not in self._slots_in_use())
        self._marks[slot] = row
        self.slab.set(started_cell(slot), row + 1)
        await asyncio.sleep(world.answer_seconds * world.dice.uniform(0.1, 2))
        while self.hung:  # noqa: ASYNC110  # time is virtual
            await asyncio.sleep(1)
        if row in world.poisoned:
            self._crash()
            return
        if row == world.fatal_row:
            self.tell(Fatal("auth", "bad key", 401))
        else:
            self._answered.append((row, DEAD_LETTER if row in world.failing else ""))
        del self._marks[slot]
        self.slab.set(started_cell(slot), 0)
        self._busy -= 1
        del world.serving[row]
        self._serve_more()

    @property
    def _marks(self) -> dict[int, int]:
        return self.__dict__.setdefault("marks", {})

    def _slots_in_use(self) -> Iterable[int]:
        return self._marks.keys()

    def _crash(self) -> None:
        if self.world.dice.random() < 0.5:
            self.die(-self.world.dice.choice([signal.SIGSEGV, signal.SIGABRT]))
        else:
            self.tell(Failed("boom", "Traceback\n  ...\nKeyError: boom", accuses=True))
            self.die(70)

    def _flush(self) -> None:
        """Write what was answered; it is told later, if the worker lives until then."""
        batch, self._answered = self._answered, []
        written = written_of(self.number, len(self.disk), batch)
        self.disk.append(written)
        for row, error_class in batch:
            if row in self.world.durable:
                self.world.duplicates += 1
            self.world.durable.setdefault(row, error_class)

        async def tell() -> None:
            await asyncio.sleep(self.world.dice.uniform(0, 1.0))
            self.tell(Committed([written]))

        self._start(tell())

    async def _drain(self, grace_seconds: float) -> None:
        end_ns = self.world.loop.now_ns + int(grace_seconds * 1e9)
        while self.hung or (self._busy and self.world.loop.now_ns < end_ns):  # noqa: ASYNC110
            await asyncio.sleep(BEAT_SECONDS)
        if self._answered:
            self._flush()
        self.tell(Committed(list(self.disk)))
        self.tell(Goodbye())
        self.die(0)


def written_of(worker: int, number: int, batch: list[tuple[int, str]]) -> Written:
    """What would be told of a batch."""
    failed: dict[str, list[int]] = {}
    for row, error_class in batch:
        if error_class:
            failed.setdefault(error_class, []).append(row)
    return Written(
        f"0001-{worker:04d}-0000.arrow",
        number,
        number,
        number + 1,
        0,
        int64s([row for row, _ in batch]),
        {name: int64s(rows) for name, rows in failed.items()},
        Spent(),
        [],
    )


def int64s(rows: list[int]) -> bytes:
    return pa.array(rows, pa.int64()).buffers()[1].to_pybytes()[: 8 * len(rows)]


class FakeBooks:
    """The books without a disk; a batch that is told twice counts once."""

    def __init__(self, world: World, done: RowSet | None = None) -> None:
        self.world = world
        self.done = done or RowSet()
        self.failed: dict[int, str] = {}
        self.examples: dict[str, Any] = {}
        self.ends: list[Cursor] = []
        self.checkpoints = 0
        self.checkpoint_seconds = 0.01
        self.rows_at_checkpoint = 0
        self._checkpointing = False
        self.untold_error: Exception | None = None
        self._seen: set[tuple[str, int]] = set()

    @property
    def succeeded(self) -> int:
        return len(self.done) - len(self.failed)

    @property
    def failures(self) -> dict[str, int]:
        return dict(Counter(self.failed.values()))

    def missing(self, ranges: Ranges) -> Ranges:
        return [gap for start, end in ranges for gap in self.done.missing(start, end)]

    def has_read(self, ends: Iterable[Cursor]) -> None:
        self.ends += (fresh := list(ends))
        assert self.ends == sorted(set(self.ends), key=lambda end: end.row), f"told twice: {fresh}"

    def absorb(self, written: Iterable[Written]) -> None:
        for one in written:
            if (one.segment, one.batch) in self._seen:
                continue
            self._seen.add((one.segment, one.batch))
            assert not self.done.add_new(one.rows), "a row was committed twice"
            for name, rows in one.failed.items():
                self.failed |= dict.fromkeys(memoryview(rows).cast("q").tolist(), name)

    def untold(self, worker: int) -> list[Written]:
        if self.untold_error is not None:
            raise self.untold_error
        (found,) = [one for one in self.world.workers if one.number == worker]
        assert found.status is not None, "a living worker's segments were read"
        return found.disk

    async def checkpoint(self) -> None:
        assert not self._checkpointing, "two checkpoints are written at once, to one name"
        self._checkpointing = True
        self.checkpoints += 1
        self.rows_at_checkpoint = len(self.done)
        await asyncio.sleep(self.checkpoint_seconds)
        self._checkpointing = False
