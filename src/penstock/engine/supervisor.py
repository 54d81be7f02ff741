"""The supervisor: leases shards, replaces workers, merges what they committed, writes checkpoints.

Its work per record is nearly nothing: it moves payloads, and takes in batches by their row numbers.
What to do is decided by the lease table, the quarantine and a few pure functions; here it is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable

from penstock._core import monotonic_ns
from penstock.engine import blame
from penstock.engine.clock import wall_us
from penstock.engine.feeder import Feeder
from penstock.engine.leases import Grant, LeaseTable
from penstock.engine.limits import share
from penstock.engine.messages import (
    Committed,
    Cut,
    Drain,
    Exhausted,
    Failed,
    Failing,
    Fatal,
    FromWorker,
    Goodbye,
    Hello,
    Lease,
    Setup,
    Want,
)
from penstock.engine.plan import Plan
from penstock.engine.region import Layout, Region, configure
from penstock.engine.respawn import Respawn
from penstock.engine.retry import FAILURES_UNTIL_DOWN
from penstock.engine.stopping import (
    Stopped,
    complete,
    crash_loop,
    disk_failed,
    failures,
    fatal_verdict,
    input_failed,
    interrupted,
    no_process,
    too_many_failed,
)
from penstock.engine.worker_process import WorkerProcess
from penstock.errors import LedgerError, PenstockError
from penstock.ledger.written import Written
from penstock.observe import events
from penstock.observe.observer import Observer
from penstock.observe.slab_layout import C, started_rows
from penstock.observe.throttle_digest import ThrottleDigest

TICK_SECONDS = 0.05
SAMPLE_NS = 250_000_000
CHECKPOINT_NS = 5_000_000_000
HUNG_NS = 30_000_000_000
PUNCTUAL_NS = 1_000_000_000  # after a tick later than this, silence counts anew: we were stopped
GATE_NS = 1_000_000_000  # how long the first ready worker waits for the others
CUT_SECONDS = 3.0  # from a cut to SIGKILL


class Supervisor:
    """One epoch of a run, from the first worker's start to the last one's end."""

    def __init__(
        self, plan: Plan, observer: Observer, tell: Callable[[events.Event], None]
    ) -> None:
        self._plan = plan
        self._books = plan.books
        self._observer = observer
        self._state = observer.state
        self._tell = tell
        self._table = LeaseTable(plan.books.done)
        self._throttles = ThrottleDigest()
        self._quarantine = blame.Quarantine()
        self._feeder = Feeder(
            plan.shards, plan.known_shards, plan.books.done, plan.job.limit, plan.target
        )
        self._workers: dict[int, WorkerProcess] = {}  # by number; dead ones leave it once buried
        self._burials: set[asyncio.Task[None]] = set()
        self._checkpointing: asyncio.Task[None] | None = None
        self._bug: BaseException | None = None  # what ended a task that nothing waits for
        self._punctual_since_ns = 0
        self._numbers = 0
        self._respawn = Respawn(plan.workers + 1)  # the last seat is the quarantine's
        self._stopped: Stopped | None = None
        self._drain_until_ns: int | None = None
        self._gate_open = False
        self._first_ready_ns = 0
        self._changed = asyncio.Event()
        self._fed = asyncio.Event()

    async def run(self) -> Stopped:
        """Run until every row ended or something stops it; returns why. Nothing is left running."""
        layout = Layout(
            len(self._plan.buckets), self._plan.workers + 1, max(1, self._plan.slots_per_worker)
        )
        self._region = Region.make(layout)
        self._limiter = self._region.limiter()
        configure(self._limiter, self._plan.buckets, monotonic_ns())
        feeding = asyncio.create_task(self._feed())
        feeding.add_done_callback(self._ended)
        try:
            for seat in range(self._plan.workers):
                await self._spawn(seat)
            await self._tick_until_over()
        finally:
            feeding.cancel()
            self._feeder.close()
            await self._bury_all()
            self._region.close()
            if self._checkpointing is not None:
                await self._checkpointing
        await self._checkpoint()
        return self._stopped or complete()

    # --- what others may ask of it ----------------------------------------------------------------

    def interrupt(self, number: signal.Signals) -> None:
        """A signal: the first drains, the second cuts."""
        if self._stopped is None or self._drain_until_ns is None:
            self._stop(interrupted(number), self._plan.job.grace_seconds)
        else:
            self._cut()

    # --- the tick ---------------------------------------------------------------------------------

    async def _tick_until_over(self) -> None:
        looked_ns = sampled_ns = checkpointed_ns = monotonic_ns()
        while not self._over():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), TICK_SECONDS)
            self._changed.clear()
            now_ns = monotonic_ns()
            if now_ns - looked_ns > PUNCTUAL_NS:
                self._punctual_since_ns = now_ns
            looked_ns = now_ns
            await self._look_after_workers(now_ns)
            self._watch_endpoint(now_ns)
            if now_ns - sampled_ns >= SAMPLE_NS:
                sampled_ns = now_ns
                self._observer.sample(now_ns)
                throttles = self._observer.tally.totals()[C.THROTTLES]
                if (event := self._throttles.observe(throttles, now_ns)) is not None:
                    self._tell(event)
            if now_ns - checkpointed_ns >= CHECKPOINT_NS and self._checkpointing is None:
                checkpointed_ns = now_ns
                self._checkpointing = asyncio.create_task(self._checkpoint())
                self._checkpointing.add_done_callback(self._checkpointed)

    def _checkpointed(self, task: asyncio.Task[None]) -> None:
        self._checkpointing = None
        self._ended(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task beside the tick ended: by a bug, it ends the run, which would wait for ever."""
        error = None if task.cancelled() else task.exception()
        self._bug = self._bug or error
        self._changed.set()

    def _over(self) -> bool:
        """Whether nothing is left to wait for; asks the workers to end where all rows have."""
        if self._bug is not None:
            raise self._bug
        if self._drain_until_ns is None and self._stopped is None and self._all_done():
            self._state.running_until_ns = monotonic_ns()
            self._stop(complete(), self._plan.job.grace_seconds)
        return self._drain_until_ns is not None and not self._workers and not self._burials

    def _all_done(self) -> bool:
        return self._feeder.exhausted and self._table.idle and not self._quarantine

    async def _look_after_workers(self, now_ns: int) -> None:
        for worker in list(self._workers.values()):
            if not worker.gone and worker.silent_ns(now_ns, self._punctual_since_ns) > HUNG_NS:
                worker.was_hung = True
                worker.kill()
        if self._drain_until_ns is not None:
            self._end_stragglers(now_ns)
            return
        for seat in self._respawn.due(now_ns):
            if seat < self._plan.workers:
                await self._spawn(seat)
        await self._tend_quarantine()
        self._open_gate(now_ns)
        self._grant()

    def _end_stragglers(self, now_ns: int) -> None:
        """Cut what the grace did not suffice for, and kill what a cut does not move."""
        assert self._drain_until_ns is not None
        if now_ns > self._drain_until_ns + int(CUT_SECONDS * 1e9):
            for worker in self._workers.values():
                worker.kill()
        elif now_ns > self._drain_until_ns:
            for worker in self._workers.values():
                worker.send(Cut())

    def _watch_endpoint(self, now_ns: int) -> None:
        """Say when the endpoint goes down, comes back, or pauses."""
        endpoint = self._state.endpoints[self._plan.endpoint]
        endpoint.paused_until_ns = self._limiter.paused_until()
        down = self._limiter.failures_in_a_row() >= FAILURES_UNTIL_DOWN
        if down and endpoint.up:
            endpoint.up, endpoint.down_since_ns = False, now_ns
            self._tell(events.EndpointDown(endpoint=self._plan.endpoint, cause=endpoint.cause))
        elif not down and not endpoint.up:
            endpoint.up = True
            seconds = (now_ns - endpoint.down_since_ns) / 1e9
            self._tell(events.EndpointUp(endpoint=self._plan.endpoint, down_seconds=seconds))

    # --- feeding ----------------------------------------------------------------------------------

    async def _feed(self) -> None:
        """Keep the lease table supplied, as long as the workers have credit that it can't meet."""
        try:
            while not self._feeder.exhausted:
                while not self._table.hungry:
                    await self._fed.wait()
                    self._fed.clear()
                fresh = await self._feeder.next()
                self._books.has_read(self._feeder.ends)
                self._feeder.ends.clear()
                for shard, wanted in fresh:
                    self._table.add_shard(shard, wanted)
                self._grant()
            for worker in self._workers.values():
                worker.send(Exhausted())
            if self._plan.target is None:
                self._state.total = max(self._feeder.rows_read, self._books.done.low_water)
        except PenstockError as error:
            self._stop(input_failed(error), self._plan.job.grace_seconds)
        self._changed.set()

    def _open_gate(self, now_ns: int) -> None:
        """Lease nothing before all workers are ready, or the first has waited long enough.

        Workers that still import modules compete for the cores with those that send at a paced
        rate.
        """
        ready = [w for w in self._workers.values() if w.ready and not w.quarantine]
        if self._gate_open or not ready:
            return
        self._first_ready_ns = self._first_ready_ns or now_ns
        if len(ready) >= self._plan.workers or now_ns - self._first_ready_ns > GATE_NS:
            self._gate_open = True
            self._state.phase = "running"
            self._state.running_since_ns = now_ns

    def _grant(self) -> None:
        if not self._gate_open or self._drain_until_ns is not None:
            return
        for grant in self._table.grants():
            self._send(grant)
        if self._table.hungry:
            self._fed.set()

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
        self._workers[grant.worker].send(lease, shard.payload)

    # --- from the workers -------------------------------------------------------------------------

    def _received(self, worker: WorkerProcess, message: FromWorker) -> None:
        match message:
            case Hello():
                self._greet(worker)
            case Want():
                if not worker.quarantine:
                    self._table.give_credit(worker.number, message.rows)
                    self._grant()
            case Committed():
                self._merge(message.written)
            case Fatal():
                cause = fatal_verdict(message, self._plan.endpoint)
                self._stop(cause, self._plan.job.grace_seconds)
            case Failing():
                self._state.endpoints[self._plan.endpoint].cause = message.cause
            case Failed():
                worker.failure = message.traceback
                worker.accuses = message.accuses
                if message.disk:
                    self._stop(disk_failed(message.reason), 0.0)
            case Goodbye():
                worker.said_goodbye = True

    def _greet(self, worker: WorkerProcess) -> None:
        worker.ready = True
        self._respawn.ready(worker.seat, monotonic_ns())
        self._tell(events.WorkerStarted(worker=worker.number, pid=worker.pid, slots=worker.slots))
        if not worker.quarantine:
            self._table.add_worker(worker.number)
            self._changed.set()
        elif self._quarantine.current is not None:
            suspects = self._quarantine.current
            self._send(self._table.grant_to(worker.number, suspects.grant.shard, suspects.wanted))

    def _merge(self, written: list[Written]) -> None:
        self._books.absorb(written)
        self._state.succeeded = self._books.succeeded
        self._state.failed_by_class = self._books.failures
        self._table.settle()
        self._changed.set()
        ended, failed = self._state.succeeded + self._state.failed, self._state.failed
        if too_many_failed(ended, failed, self._plan.job.stop_failed_share):
            self._stop(
                failures(ended, failed, self._plan.job.stop_failed), self._plan.job.grace_seconds
            )

    # --- workers' lives ---------------------------------------------------------------------------

    async def _spawn(self, seat: int, quarantine: bool = False) -> None:
        self._numbers += 1
        plan = self._plan
        slots = 1 if quarantine else share(plan.slots, plan.workers)[seat]
        worker = WorkerProcess(self._numbers, seat, slots, self._region.slab(seat), quarantine)
        self._workers[worker.number] = worker
        self._observer.tally.attach(worker.number, worker.slab)
        self._state.workers = len(self._workers)
        try:
            await worker.spawn(self._region.descriptor, plan.inherited, self._received, self._lost)
        except OSError as error:
            del self._workers[worker.number]
            self._observer.tally.retire(worker.number)
            self._stop(no_process(error), plan.job.grace_seconds)
            return
        plan.record_workers([one.pid for one in self._workers.values()])
        worker.send(self._setup_of(worker))
        if self._feeder.exhausted:
            worker.send(Exhausted())
        if self._drain_until_ns is not None:  # told to the others while this one was being started
            worker.send(Drain(0.0))

    def _setup_of(self, worker: WorkerProcess) -> Setup:
        plan = self._plan
        return Setup(
            plan.job,
            plan.key.reveal() if plan.key else None,
            plan.headers,
            plan.endpoint,
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
        )

    def _lost(self, worker: WorkerProcess) -> None:
        """The worker's socket is at its end: all that it said has been read."""
        worker.gone = True
        task = asyncio.get_running_loop().create_task(self._bury(worker))
        self._burials.add(task)
        task.add_done_callback(self._burials.discard)
        task.add_done_callback(self._ended)

    async def _bury(self, worker: WorkerProcess) -> None:
        """Replace a worker, in the one order that loses and doubles nothing.

        Wait until it ended or kill it, (its socket is drained,) read, verify and sync its segments,
        merge, and only then give back what is left.
        """
        status = await asyncio.to_thread(worker.end)
        if not worker.said_goodbye or worker.failure:
            try:
                self._merge(await asyncio.to_thread(self._books.untold, worker.number))
            except LedgerError as error:
                self._stop(disk_failed(error.what), 0.0)
        busy_with = started_rows(worker.slab)
        self._observer.tally.retire(worker.number)
        self._region.clear_seat(worker.seat)
        left = self._table.remove_worker(worker.number)
        del self._workers[worker.number]
        self._state.workers = len(self._workers)
        if self._drain_until_ns is None:
            self._account_for(worker, status, busy_with, left)
        worker.close()
        self._changed.set()

    def _account_for(
        self, worker: WorkerProcess, status: int, busy_with: list[int], left: list[Grant]
    ) -> None:
        """Say why a worker ended, who is to blame, and when the next one starts."""
        accuses = blame.accuses(status, worker.accuses) and not worker.was_hung
        cause = cause_of(worker, status)
        if worker.quarantine and worker.said_goodbye and not worker.failure:
            self._judge(False, cause)
            return
        self._state.worker_restarts += 1
        rows = sum(grant.rows for grant in left)
        self._tell(events.WorkerReplaced(worker=worker.number, cause=cause, rows_leased_again=rows))
        if worker.quarantine:
            # Only one that was ready can have been given the suspected rows.
            self._judge(accuses and worker.ready, cause)
            self._replace(worker)
            return
        accused = set(busy_with) if accuses else set()
        innocent = []
        for grant in left:
            guilty, free = blame.parted(grant.wanted, accused)
            self._quarantine.accuse(grant, guilty)
            for row, _ in guilty[:1]:
                self._tell(events.RowQuarantined(row=row, cause=cause))
            if free:
                innocent.append(grant.of(free))
        self._table.give_back(innocent)
        self._replace(worker)

    def _replace(self, worker: WorkerProcess) -> None:
        """Have a dead worker's seat filled again, unless they die faster than they get ready."""
        words = worker.failure or worker.last_words()
        if self._respawn.died(worker.seat, worker.ready, monotonic_ns()):
            self._stop(crash_loop(words), 0.0)

    # --- quarantine -------------------------------------------------------------------------------

    async def _tend_quarantine(self) -> None:
        """Ask for suspected rows in a worker of their own."""
        keeper = next((w for w in self._workers.values() if w.quarantine), None)
        if keeper is not None and keeper.gone:
            return  # it is judged first, by the rows that it had
        current = self._quarantine.current
        if current is not None and not self._books.missing(current.wanted):
            self._quarantine.cleared()
        suspects = self._quarantine.next()
        if suspects is None:
            if keeper is not None and not self._quarantine:
                keeper.send(Drain(0.0))
        elif keeper is None:
            await self._spawn(self._plan.workers, quarantine=True)
        elif keeper.ready:
            self._send(self._table.grant_to(keeper.number, suspects.grant.shard, suspects.wanted))

    def _judge(self, crashed: bool, cause: str) -> None:
        """The quarantine worker ended: find out whom its end accuses."""
        current = self._quarantine.current
        if current is None:
            return
        undone = self._books.missing(current.wanted)
        if not crashed:
            self._quarantine.interrupted(undone)
            return
        condemned = self._quarantine.crashed(undone)
        if condemned is not None:
            row = condemned.wanted[0][0]
            reason = f"{condemned.grant.shard.file}: the row alone crashed a worker twice ({cause})"
            self._tell(events.Warned(message=f"row {row}: {reason}"))
            self._table.condemn(condemned.grant.shard, row, reason)

    # --- ending -----------------------------------------------------------------------------------

    def _stop(self, why: Stopped, grace_seconds: float) -> None:
        """End the run for a reason; the first reason counts."""
        if self._stopped is None:
            self._stopped = why
        if self._drain_until_ns is not None:
            return
        self._drain_until_ns = monotonic_ns() + int(grace_seconds * 1e9)
        if not why.complete:
            self._state.phase = "draining"
            self._tell(
                events.Draining(
                    cause=why.message,
                    in_flight=self._observer.tally.totals()[C.IN_FLIGHT],
                    grace_seconds=grace_seconds,
                )
            )
        for worker in self._workers.values():
            worker.send(Drain(grace_seconds))
        self._changed.set()

    def _cut(self) -> None:
        self._drain_until_ns = monotonic_ns()
        for worker in self._workers.values():
            worker.send(Cut())

    async def _bury_all(self) -> None:
        """Leave no process behind, whatever happened."""
        for worker in self._workers.values():
            worker.kill()
        while self._burials or not all(worker.gone for worker in self._workers.values()):
            self._changed.clear()
            await self._changed.wait()

    async def _checkpoint(self) -> None:
        began_ns = monotonic_ns()
        try:
            await self._books.checkpoint()
        except LedgerError as error:
            self._stop(disk_failed(error.what), 0.0)
            return
        self._state.last_checkpoint_at = wall_us() / 1e6
        self._tell(
            events.CheckpointWritten(
                rows_done=len(self._books.done),
                low_water=self._books.done.low_water,
                write_seconds=(monotonic_ns() - began_ns) / 1e9,
            )
        )


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
