"""The crew: an epoch's worker processes, from the start of each to its burial.

A seat is a place in shared memory, filled again after its worker died; the last one is the
quarantine's. Who is to blame for a death and what becomes of the dead one's rows is not known here.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from penstock._core import monotonic_ns
from penstock.engine.limits import share
from penstock.engine.messages import (
    Cut,
    Drain,
    EndpointSetup,
    Exhausted,
    FromWorker,
    Know,
    Lease,
    Message,
    Setup,
)
from penstock.engine.plan import Plan
from penstock.engine.region import Region
from penstock.engine.respawn import Respawn
from penstock.engine.stopping import Stopped, crash_loop, disk_failed, no_process
from penstock.engine.treasury import used_of
from penstock.engine.worker_process import WorkerProcess
from penstock.errors import LedgerError
from penstock.ledger.known import Shelf
from penstock.ledger.written import Written
from penstock.observe.observer import Observer
from penstock.observe.slab_layout import started_rows

HUNG_NS = 30_000_000_000
PUNCTUAL_NS = 1_000_000_000  # after a tick later than this, silence counts anew: we were stopped


class Crew:
    """The workers of one epoch. One that died leaves it once it is buried.

    `on_death` learns of each burial: the worker, its exit status as Popen gives it, and the rows
    that its slots had started. By then its segments are read, and went to `on_written`.
    """

    def __init__(
        self,
        plan: Plan,
        observer: Observer,
        *,
        setups: Callable[[WorkerProcess], tuple[EndpointSetup, ...]],
        on_message: Callable[[WorkerProcess, FromWorker], None],
        on_written: Callable[[list[Written]], None],
        on_death: Callable[[WorkerProcess, int, list[int]], None],
        on_stop: Callable[[Stopped], None],
        on_burial: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self._plan = plan
        self._observer = observer
        self._setups = setups
        self._on_message = on_message
        self._on_written = on_written
        self._on_death = on_death
        self._on_stop = on_stop
        self._on_burial = on_burial
        self._workers: dict[int, WorkerProcess] = {}
        self._burials: set[asyncio.Task[None]] = set()
        self._numbers = 0
        self._respawn = Respawn(plan.workers + 1)
        self._looked_ns = 0
        self._punctual_since_ns = 0
        self._exhausted = False
        self._shelves = {shelf.source: shelf for shelf in plan.shelves}
        self._turn = 0
        self.draining = False

    # --- what the supervisor sees -----------------------------------------------------------------

    @property
    def gone(self) -> bool:
        """Whether every worker is dead and buried."""
        return not self._workers and not self._burials

    @property
    def ready(self) -> int:
        """How many workers have come up, but for the quarantine's."""
        return sum(worker.ready and not worker.quarantine for worker in self._workers.values())

    @property
    def workers(self) -> list[WorkerProcess]:
        """Those that are not buried yet."""
        return list(self._workers.values())

    @property
    def seats(self) -> set[int]:
        """Where there is a worker that lives, but for the quarantine's."""
        living = (one for one in self._workers.values() if not one.gone and not one.quarantine)
        return {worker.seat for worker in living}

    @property
    def keeper(self) -> WorkerProcess | None:
        """The quarantine's worker, until it is buried."""
        return next((worker for worker in self._workers.values() if worker.quarantine), None)

    # --- starting ---------------------------------------------------------------------------------

    async def start(self, region: Region) -> None:
        """Fill every seat of `region` but the quarantine's."""
        self._region = region
        for seat in range(self._plan.workers):
            await self._spawn(seat)

    async def start_keeper(self) -> None:
        """Fill the quarantine's seat."""
        await self._spawn(self._plan.workers, quarantine=True)

    async def fill_seats(self, now_ns: int) -> None:
        """Start those whose seat's backoff is over; the quarantine fills its own as it needs it."""
        for seat in self._respawn.due(now_ns):
            if seat < self._plan.workers:
                await self._spawn(seat)

    async def _spawn(self, seat: int, quarantine: bool = False) -> None:
        self._numbers += 1
        plan = self._plan
        slots = 1 if quarantine else share(plan.slots, plan.workers)[seat]
        worker = WorkerProcess(self._numbers, seat, slots, self._region.slab(seat), quarantine)
        self._workers[worker.number] = worker
        self._observer.tally.attach(worker.number, worker.slab)
        self._observer.state.workers = len(self._workers)
        try:
            await worker.spawn(
                self._region.descriptor, plan.inherited, self._on_message, self._lost
            )
        except OSError as error:
            del self._workers[worker.number]
            self._observer.tally.retire(worker.number)
            self._on_stop(no_process(error))
            return
        plan.record_workers([one.pid for one in self._workers.values()])
        worker.send(self._setup_of(worker))
        if self._exhausted:
            worker.send(Exhausted())
        if self.draining:  # told to the others while this one was being started
            worker.send(Drain(0.0))

    def _setup_of(self, worker: WorkerProcess) -> Setup:
        plan = self._plan
        return Setup(
            plan.job,
            self._setups(worker),
            plan.run_id,
            str(plan.run_directory),
            plan.epoch,
            worker.number,
            worker.seat,
            worker.slots,
            plan.workers,
            self._region.layout,
            plan.generation,
            plan.id_column,
            plan.keep_response,
            tuple(self._shelves.values()),
            # A suspect is asked whoever asks the same: it would else wait for itself.
            plan.job.dedupe and not worker.quarantine,
            self._turn,
            plan.treasury.setup(),
        )

    def came_up(self, worker: WorkerProcess) -> None:
        """A worker said hello."""
        worker.ready = True
        self._respawn.ready(worker.seat, monotonic_ns())

    # --- telling ----------------------------------------------------------------------------------

    def send(self, number: int, lease: Lease, payload: bytes) -> None:
        """Hand a lease to a worker."""
        self._workers[number].send(lease, payload)

    def tell_exhausted(self) -> None:
        """Tell all, also those that start later, that the input, or a turn, is at its end."""
        self._exhausted = True
        self.tell(Exhausted())

    def know(self, shelf: Shelf) -> None:
        """Tell all, also those that start later, that the next turn begins, and what is known."""
        self._turn += 1
        self._exhausted = False
        self._shelves[shelf.source] = shelf
        self.tell(Know(shelf, self._turn))

    def drain(self, grace_seconds: float) -> None:
        """Have all finish what is in flight, and end."""
        self.draining = True
        self.tell(Drain(grace_seconds))

    def cut(self) -> None:
        """Have all commit what they have, and end."""
        self.tell(Cut())

    def tell(self, message: Message) -> None:
        """Tell all."""
        for worker in self._workers.values():
            worker.send(message)

    # --- dying ------------------------------------------------------------------------------------

    def kill(self) -> None:
        """SIGKILL all."""
        for worker in self._workers.values():
            worker.kill()

    def kill_hung(self, now_ns: int) -> None:
        """SIGKILL those whose loop gave no sign of life while ours was punctual."""
        if now_ns - self._looked_ns > PUNCTUAL_NS:
            self._punctual_since_ns = now_ns
        self._looked_ns = now_ns
        for worker in self._workers.values():
            if not worker.gone and worker.silent_ns(now_ns, self._punctual_since_ns) > HUNG_NS:
                worker.was_hung = True
                worker.kill()

    @property
    def silent(self) -> bool:
        """Whether nothing more can come from any worker."""
        return not self._burials and all(worker.gone for worker in self._workers.values())

    def _lost(self, worker: WorkerProcess) -> None:
        """The worker's socket is at its end: all that it said has been read."""
        worker.gone = True
        task = asyncio.get_running_loop().create_task(self._bury(worker))
        self._burials.add(task)
        task.add_done_callback(self._burials.discard)
        task.add_done_callback(self._on_burial)

    async def _bury(self, worker: WorkerProcess) -> None:
        """Replace a worker, in the one order that loses and doubles nothing.

        Wait until it ended or kill it, (its socket is drained,) read, verify and sync its segments,
        merge, and only then let go of what is left of its leases.
        """
        status = await asyncio.to_thread(worker.end)
        if not worker.said_goodbye or worker.failure:
            try:
                self._on_written(await asyncio.to_thread(self._plan.books.untold, worker.number))
            except LedgerError as error:
                self._on_stop(disk_failed(error.what))
        busy_with = started_rows(worker.slab)
        self._plan.treasury.bury(worker.number, used_of(worker))
        self._observer.tally.retire(worker.number)
        self._region.clear_seat(worker.seat)
        del self._workers[worker.number]
        self._observer.state.workers = len(self._workers)
        self._on_death(worker, status, busy_with)
        worker.close()

    def replace(self, worker: WorkerProcess, status: int) -> None:
        """Have a dead worker's seat filled again, unless they die faster than they get ready."""
        words = worker.failure or worker.last_words()
        killed = status == -signal.SIGKILL
        if self._respawn.died(worker.seat, worker.ready, monotonic_ns(), was_killed=killed):
            self._on_stop(crash_loop(words))


def cause_of(worker: WorkerProcess, status: int) -> str:
    """Why a worker ended, in a few words; its own, where it had any."""
    if worker.was_hung:
        return f"gave no heartbeat for {HUNG_NS // 1_000_000_000} s"
    if worker.failure:
        return worker.failure.strip().rpartition("\n")[2]
    return ending(status)


def ending(status: int) -> str:
    """A process's exit status in words."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
