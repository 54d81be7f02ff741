"""The supervisor: merges what workers committed, writes checkpoints, and ends the run.

Its work per record is nearly nothing: it takes in batches by their row numbers. Processes are the
crew's, rows on their way to the workers are leasing's, rows that crash a worker are isolation's;
here is what holds them together.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from penstock._core import Limiter, monotonic_ns, wall_us
from penstock.engine import blame
from penstock.engine.crew import Crew, cause_of
from penstock.engine.governing import Governing
from penstock.engine.isolation import Isolation
from penstock.engine.leasing import Leasing
from penstock.engine.memory import give_back
from penstock.engine.messages import (
    Committed,
    Deferred,
    Failed,
    Failing,
    Fatal,
    FromWorker,
    Funds,
    Goodbye,
    Hello,
    Named,
    PriceOf,
    Want,
)
from penstock.engine.plan import Plan
from penstock.engine.region import Layout, Region, configure
from penstock.engine.run_endpoints import RunEndpoints
from penstock.engine.stopping import (
    Stopped,
    complete,
    disk_failed,
    failures,
    input_failed,
    interrupted,
    no_progress,
    too_many_failed,
)
from penstock.engine.stuck import Stuck
from penstock.engine.worker_process import WorkerProcess
from penstock.errors import LedgerError, PenstockError
from penstock.ledger.written import Written
from penstock.observe import events
from penstock.observe.observer import Observer
from penstock.observe.slab_layout import C
from penstock.observe.throttle_digest import ThrottleDigest
from penstock.observe.use import use_of

TICK_SECONDS = 0.05
SAMPLE_NS = 250_000_000
CHECKPOINT_NS = 5_000_000_000
CUT_SECONDS = 3.0  # from a cut to SIGKILL


class Supervisor:
    """One epoch of a run, from the first worker's start to the last one's end."""

    def __init__(
        self,
        plan: Plan,
        observer: Observer,
        tell: Callable[[events.Event], None],
        hide: Callable[[str], None] = lambda secret: None,
    ) -> None:
        self._plan = plan
        self._books = plan.books
        self._observer = observer
        self._state = observer.state
        self._tell = tell
        self._throttles = ThrottleDigest()
        self._stuck = Stuck()
        self._endpoints = RunEndpoints(
            plan,
            self._state,
            tell,
            send=lambda message: self._crew.tell(message),
            hide=hide,
            on_stop=self._stop,
            on_ended=self._ended,
        )
        self._crew = Crew(
            plan,
            observer,
            setups=self._endpoints.setups,
            on_message=self._received,
            on_written=self._merge,
            on_death=self._account_for,
            on_stop=self._stop,
            on_burial=self._ended,
        )
        self._leasing = Leasing(plan, self._crew, self._state)
        self._isolation = Isolation(self._books, self._crew, self._leasing, tell)
        self._treasury = plan.treasury
        self._treasury.attend(
            observer.tally, on_price=self._priced, on_stop=self._stop, on_end=self._ended
        )
        self._checkpointing: asyncio.Task[None] | None = None
        self._bug: BaseException | None = None  # what ended a task that nothing waits for
        self._stopped: Stopped | None = None
        self._drain_until_ns: int | None = None
        self._changed = asyncio.Event()

    async def run(self) -> Stopped:
        """Run until every row ended or something stops it; returns why. Nothing is left running."""
        plan = self._plan
        buckets = tuple(len(endpoint.buckets) for endpoint in plan.endpoints)
        region = Region.make(
            Layout(buckets, plan.workers + 1, max(1, plan.slots_per_worker), plan.job.dedupe)
        )
        limiters = [
            one.limiter_file.limiter() if one.limiter_file else region.limiter(index)
            for index, one in enumerate(plan.endpoints)
        ]
        for limiter, endpoint in zip(limiters, plan.endpoints, strict=True):
            if endpoint.limiter_file is None:
                configure(limiter, endpoint.buckets, monotonic_ns())
        self._governing = Governing(plan, region, limiters, self._tell, self._tuned)
        self._state.limits = self._governing.limits()
        feeding = asyncio.create_task(self._feed())
        feeding.add_done_callback(self._ended)
        try:
            await self._crew.start(region)
            await self._tick_until_over(limiters)
        finally:
            feeding.cancel()
            self._endpoints.close()
            self._leasing.close()
            await self._bury_all()
            self._note_traffic()
            region.close()
            if self._checkpointing is not None:
                await self._checkpointing
        await self._checkpoint()
        return self._stopped or complete()

    # --- what others may ask of it ----------------------------------------------------------------

    def interrupt(self, number: signal.Signals) -> None:
        """A signal: the first drains, the second cuts."""
        if self._drain_until_ns is None:
            self._stop(interrupted(number))
        else:
            self._drain_until_ns = monotonic_ns()
            self._crew.cut()

    # --- the tick ---------------------------------------------------------------------------------

    async def _tick_until_over(self, limiters: Sequence[Limiter]) -> None:
        sampled_ns = checkpointed_ns = monotonic_ns()
        while not self._over():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), TICK_SECONDS)
            self._changed.clear()
            now_ns = monotonic_ns()
            await self._look_after_workers(now_ns)
            self._endpoints.watch(limiters, now_ns)
            if self._governing.tick(now_ns, self._crew.seats):
                self._state.limits = self._governing.limits()
                self._leasing.table.slots = self._governing.places
            if now_ns - sampled_ns >= SAMPLE_NS:
                sampled_ns = now_ns
                self._sample(now_ns)
            if now_ns - checkpointed_ns >= CHECKPOINT_NS and self._checkpointing is None:
                checkpointed_ns = now_ns
                self._checkpointing = asyncio.create_task(self._checkpoint())
                self._checkpointing.add_done_callback(self._checkpointed)

    def _over(self) -> bool:
        """Whether nothing is left to wait for; asks the workers to end where all rows have."""
        if self._bug is not None:
            raise self._bug
        if self._drain_until_ns is None and self._leasing.done and not self._isolation:
            self._state.running_until_ns = monotonic_ns()
            self._stop(complete())
        return self._drain_until_ns is not None and self._crew.gone

    async def _look_after_workers(self, now_ns: int) -> None:
        self._crew.kill_hung(now_ns)
        if self._drain_until_ns is not None:
            self._end_stragglers(now_ns, self._drain_until_ns)
            return
        await self._crew.fill_seats(now_ns)
        await self._isolation.tend()
        self._leasing.open_gate(now_ns)
        self._leasing.grant()
        self._treasury.look_around(self._crew.workers)

    def _end_stragglers(self, now_ns: int, drain_until_ns: int) -> None:
        """Cut what the grace did not suffice for, and kill what a cut does not move."""
        if now_ns > drain_until_ns + int(CUT_SECONDS * 1e9):
            self._crew.kill()
        elif now_ns > drain_until_ns:
            self._crew.cut()

    def _tuned(self, tuned: Mapping[str, Any]) -> None:
        """A user tuned these; limits are changed already."""
        self._plan.job = msgspec.structs.replace(self._plan.job, **tuned)
        budget_usd = tuned.get("budget_usd")
        if budget_usd is None:
            return
        if self._treasury.tune(budget_usd):
            self._state.budget_usd = budget_usd
            self._changed.set()
        else:
            message = "budget-usd: this run was begun without one; the next resume keeps it"
            self._tell(events.Warned(message=message))

    def _note_traffic(self) -> None:
        for name, traffic in self._governing.traffic().items():
            self._state.endpoints[name].traffic = traffic

    def _sample(self, now_ns: int) -> None:
        self._note_traffic()
        throttles = self._observer.sample(now_ns)[C.THROTTLES]
        if (event := self._throttles.observe(throttles, now_ns)) is not None:
            self._tell(event)

    # --- tasks beside the tick --------------------------------------------------------------------

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task beside the tick ended: by a bug, it ends the run, which would wait for ever."""
        error = None if task.cancelled() else task.exception()
        self._bug = self._bug or error
        self._changed.set()

    async def _feed(self) -> None:
        try:
            await self._leasing.feed()
        except PenstockError as error:
            self._stop(input_failed(error))

    def _checkpointed(self, task: asyncio.Task[None]) -> None:
        self._checkpointing = None
        self._ended(task)

    async def _checkpoint(self) -> None:
        began_ns = monotonic_ns()
        try:
            await self._books.checkpoint()
            await self._treasury.record(self._crew.workers)
        except LedgerError as error:
            self._stop(disk_failed(error.what))
            return
        self._state.last_checkpoint_at = wall_us() / 1e6
        self._tell(
            events.CheckpointWritten(
                rows_done=len(self._books.done),
                low_water=self._books.done.low_water,
                write_seconds=(monotonic_ns() - began_ns) / 1e9,
                use=use_of(self._observer.tally.totals(), self._state.running_seconds(began_ns)),
            )
        )
        await asyncio.to_thread(give_back)

    # --- from the workers -------------------------------------------------------------------------

    def _received(self, worker: WorkerProcess, message: FromWorker) -> None:
        match message:
            case Hello():
                self._greet(worker)
            case Want():
                if not worker.quarantine:
                    self._leasing.give_credit(worker.number, message.rows)
            case Committed():
                self._merge(message.written, worker.number)
            case Deferred():
                self._leasing.defer(worker.number, message.rows)
                self._changed.set()
            case PriceOf():
                self._treasury.answer(worker, message.model)
            case Funds():
                self._treasury.ask(worker.number, message)
                self._changed.set()
            case Fatal():
                self._endpoints.refused(message)
            case Named():
                self._governing.named(message.endpoint, message.limits, monotonic_ns())
                self._state.limits = self._governing.limits()
            case Failing():
                self._endpoints.failing(message)
            case Failed():
                worker.failure = message.traceback
                worker.accuses = message.accuses
                if message.disk:
                    self._stop(disk_failed(message.reason))
            case Goodbye():
                worker.said_goodbye = True

    def _greet(self, worker: WorkerProcess) -> None:
        self._crew.came_up(worker)
        self._treasury.join(worker.number)
        self._tell(events.WorkerStarted(worker=worker.number, pid=worker.pid, slots=worker.slots))
        if worker.quarantine:
            self._isolation.greet(worker)
        else:
            self._leasing.table.add_worker(worker.number)
            self._changed.set()

    def _priced(self, words: str) -> None:
        """A model's price became known."""
        self._state.priced = True
        self._tell(events.Priced(words=words))

    def _merge(self, written: list[Written], worker: int | None = None) -> None:
        before = len(self._books.done)
        self._books.absorb(written)
        if len(self._books.done) > before:
            self._stuck.progressed()
        self._state.succeeded = self._books.succeeded
        self._state.failed_by_class = self._books.failures
        self._leasing.table.settle(worker)
        self._changed.set()
        ended, failed = self._state.succeeded + self._state.failed, self._state.failed
        # Where nothing is left to stop, an output is worth more.
        stops = too_many_failed(ended, failed, self._plan.job.stop_failed_share)
        if stops and not self._leasing.done:
            self._stop(failures(ended, failed, self._plan.job.stop_failed))

    def _account_for(self, worker: WorkerProcess, status: int, busy_with: list[int]) -> None:
        """A worker is buried: say why it ended, find who is to blame, lease what is left again."""
        left = self._leasing.table.remove_worker(worker.number)
        if self._drain_until_ns is not None:
            return
        accuses = blame.accuses(status, worker.accuses) and not worker.was_hung
        cause = cause_of(worker, status)
        accused = busy_with if accuses else []
        if worker.quarantine and worker.said_goodbye and not worker.failure:
            self._isolation.judge(False, cause)
            return
        self._state.worker_restarts += 1
        rows = sum(grant.rows for grant in left)
        self._tell(events.WorkerReplaced(worker=worker.number, cause=cause, rows_leased_again=rows))
        if worker.quarantine:
            # Only one that was ready can have been given the suspected rows.
            self._isolation.judge(accuses and worker.ready, cause)
        else:
            self._leasing.table.give_back(self._isolation.accuse(left, accused, cause))
        if worker.ready and not accused:
            self._look_for_progress(status, busy_with, cause)
        self._crew.replace(worker, status)

    def _look_for_progress(self, status: int, busy_with: list[int], cause: str) -> None:
        """Stop where worker after worker ends with nothing done in between."""
        stuck = self._stuck
        if stuck.crashed() if status >= 0 else stuck.killed(busy_with):
            self._stop(no_progress(stuck.deaths, cause, stuck.rows))

    # --- ending -----------------------------------------------------------------------------------

    def _stop(self, why: Stopped) -> None:
        """End the run for a reason; the first reason counts."""
        if self._stopped is not None:
            return
        self._stopped = why
        grace_seconds = 0.0 if why.at_once else self._plan.job.grace_seconds
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
        self._crew.drain(grace_seconds)
        self._changed.set()

    async def _bury_all(self) -> None:
        """Leave no process behind, whatever happened."""
        self._crew.kill()
        while not self._crew.silent:
            self._changed.clear()
            await self._changed.wait()
