"""The way of a record inside a worker: queue, slot, attempt, verdict, result or retry heap.

A slot is one of the worker's concurrent places. A record that waits for a retry is on the heap and
holds none; due retries go before fresh records, unless the endpoint may be about to be found down,
and beyond a bounded heap no fresh record starts.
While the endpoint is down only probes are sent, which are not attempts, so an outage ends no
record.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from penstock._core import Slab, monotonic_ns
from penstock.engine import retry
from penstock.engine.attempt import Attempt
from penstock.engine.ending import Ending
from penstock.engine.judge import INVALID, Judge
from penstock.engine.lane import Lane
from penstock.engine.pacer import Diverted, Draining
from penstock.engine.pending import Pending
from penstock.engine.results import with_tokens
from penstock.engine.unbought import Unbought
from penstock.ledger.mark import ShardMark
from penstock.observe.slab_layout import C, retry_cell, started_cell
from penstock.providers.provider import Answer, Refusal, Request, UnrenderableRecord
from penstock.providers.structured import correction
from penstock.record import Record

READERS = 4  # threads that read images and files
SECOND_NS = 1_000_000_000
Render = Callable[[Record, Sequence[dict[str, Any]]], Request]

Attach = Callable[[Record], Record]  # gives a record its images and files
SHORTEST_TIMER_SECONDS = 0.001


class Work:
    """The queue, the heap and the slots of a worker."""

    rows_at_once = 1  # that a slot may take

    def __init__(
        self,
        *,
        slots: int,
        max_attempts: int,
        max_output_retries: int,
        judge: Judge | None,
        attach: Attach | None,
        budget_share: float,
        lanes: Sequence[Lane],
        slab: Slab,
        ending: Ending,
        on_fatal: Callable[[Lane, Attempt], None],
        on_taken: Callable[[], None],
        on_down: Callable[[Lane, str], None],
        refresh_key: Callable[[Lane, Attempt], bool],
        unbought: Unbought | None = None,
    ) -> None:
        self.slots = slots  # as many as its lanes have places now
        self._max_attempts = max_attempts
        self._max_output_retries = max_output_retries
        self._judge = judge
        self._attach = attach
        self._readers = ThreadPoolExecutor(READERS, "penstock-read") if attach else None
        self._lanes = lanes
        self._lane = lanes[0]
        self._render: Render = lanes[0].provider.request
        self._slab = slab
        self._ending = ending
        self._on_fatal = on_fatal
        self._on_taken = on_taken
        self._on_down = on_down
        self._refresh_key = refresh_key
        self._unbought = unbought
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Pending] = deque()
        self._heap: retry.RetryHeap[Pending] = retry.RetryHeap()
        self._budget = retry.RetryBudget(monotonic_ns(), budget_share)
        self._budget_ns = 0  # when the retry budget has something again
        self._idle: deque[asyncio.Future[Pending | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._draining = False
        self.exhausted = False  # no fresh record will come
        self._busy = 0
        self.enough = sys.maxsize  # records taken up; with fewer, `on_taken` is called for each

    # --- what the worker sees ---------------------------------------------------------------------

    @property
    def held(self) -> int:
        """Records that have not ended: queue, slots and heap."""
        return len(self._queue) + self._busy + len(self._heap)

    @property
    def taken_up(self) -> int:
        """Records in queue and slots. Those on the heap have a bound of their own."""
        return len(self._queue) + self._busy

    @property
    def queued(self) -> int:
        """Fresh records that no slot has taken yet."""
        return len(self._queue)

    @property
    def retry_waiting(self) -> int:
        """Records on the retry heap."""
        return len(self._heap)

    @property
    def startable(self) -> int:
        """Records that a slot could take now, but for what holds all of them."""
        due_ns = self._heap.due_ns()
        is_due = due_ns is not None and max(due_ns, self._budget_ns) <= monotonic_ns()
        return int(is_due) + (len(self._queue) if self.room else 0)

    @property
    def down(self) -> bool:
        """Whether the endpoint is down, as all workers together found."""
        return self._lane.down

    @property
    def room(self) -> bool:
        """Whether the heap has room, so that fresh records may start."""
        return len(self._heap) < retry.HEAP_PER_SLOT * self.slots

    def add(self, records: Iterable[Record], shard: ShardMark) -> None:
        """Queue the records of a lease."""
        self._queue.extend([Pending(record, shard) for record in records])
        self.dispatch()

    def drain(self) -> None:
        """Start nothing more; what is in flight may finish."""
        self._draining = True
        self._queue.clear()
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)

    async def run_slot(self, slot: int) -> None:
        """Take records until the worker drains."""
        mark, cell = self._slab.set, started_cell(slot)
        while not self._draining:
            pending = self._take() or await self._wait()
            if pending is None:
                return
            mark(cell, pending.record.row + 1)  # before anything that the row could break
            try:
                if self._attach is not None and pending.request is None:
                    await self._read(pending, self._attach)
                request = pending.request or self._begin(pending, cell)
                lane = self._lanes[pending.lane]
                if request is not None:
                    self._follow(pending, lane, await lane.asker.ask(request))
                elif self._unbought is not None:  # there may be thousands that need no asking
                    await asyncio.sleep(0)
            except Draining:
                pass
            except Diverted:
                self._queue.appendleft(pending)
            except asyncio.CancelledError:
                mark(cell, 0)
                raise
            finally:
                self._busy -= 1
                if pending.probing:
                    pending.probing = False
                    self._lanes[pending.lane].probing -= 1
            # After an exception the mark stays: it tells the supervisor which row is to blame.
            mark(cell, 0)

    def dispatch(self) -> None:
        """Hand records to idle slots, as far as there are both."""
        while self._idle and not self._draining:
            if self._idle[0].done():
                self._idle.popleft()
                continue
            pending = self._take()
            if pending is None:
                self._set_timer()
                return
            self._idle.popleft().set_result(pending)

    # --- choosing ---------------------------------------------------------------------------------

    def _take(self) -> Pending | None:
        """The next record for a slot, busy with it from now on; None where nothing may start."""
        pending = self._next()
        if pending is not None:
            self._busy += 1
            if len(self._queue) + self._busy < self.enough:
                self._on_taken()
        return pending

    def _next(self) -> Pending | None:
        """A due retry, else a fresh record; None where nothing may start.

        While the endpoint fails and it is not known yet whether it is down, fresh records go first:
        at a low rate the same few would else use up their attempts before ten had failed.
        """
        if self._draining or self._ending.congested or self._busy >= self._lane.places:
            return None
        failures = self._lane.limiter.failures_in_a_row()
        if self._queue and not failures and not self._heap.entries:  # all is well, as nearly always
            self._budget.fresh += 1
            return self._queue.popleft()
        now_ns, due_ns = monotonic_ns(), self._heap.due_ns()
        if failures >= retry.FAILURES_UNTIL_DOWN:
            return self._probe(self._lane, now_ns)
        fresh_first = failures and self._queue and self.room
        if due_ns is not None and max(due_ns, self._budget_ns) <= now_ns and not fresh_first:
            wait_ns = self._budget.spend(now_ns)
            if not wait_ns:
                return self._heap.pop()
            self._budget_ns = now_ns + wait_ns
        if self._queue and self.room:
            self._budget.fresh += 1
            return self._queue.popleft()
        return None

    def _probe(self, lane: Lane, now_ns: int) -> Pending | None:
        """One record to see whether the endpoint is back, if it is this worker's turn.

        A queued one where there is one, and each in turn: records that no server can answer would
        else be all that is ever sent, and keep a sound endpoint down.
        """
        if not (len(self._heap) or self._queue) or lane.probing >= lane.most_probing:
            return None
        if not lane.limiter.claim_probe(now_ns, retry.PROBE_INTERVAL_NS):
            return None
        self._slab.add(C.PROBES, 1)
        pending = self._queue.popleft() if self._queue else self._heap.pop()
        pending.lane = lane.index
        pending.probing = True
        lane.probing += 1
        return pending

    async def _wait(self) -> Pending | None:
        waiter: asyncio.Future[Pending | None] = self._loop.create_future()
        self._idle.append(waiter)
        self._set_timer()
        return await waiter

    def _set_timer(self) -> None:
        """Look at the heap again when its first retry is due; the beat sees to all else."""
        due_ns = self._heap.due_ns()
        if due_ns is None or self._timer is not None or self.down or self._ending.congested:
            return
        delay = (max(due_ns, self._budget_ns) - monotonic_ns()) / SECOND_NS
        self._timer = self._loop.call_later(max(SHORTEST_TIMER_SECONDS, delay), self._timed)

    def _timed(self) -> None:
        self._timer = None
        self.dispatch()

    # --- serving ----------------------------------------------------------------------------------

    async def _read(self, pending: Pending, attach: Attach) -> None:
        """Have a thread read a record's images and files.

        They stay with its request alone, and only while that is on its way: those of all records
        that wait for a retry would not fit into memory.
        """
        pending.first_ns = pending.first_ns or monotonic_ns()
        attached = self._loop.run_in_executor(self._readers, attach, pending.record)
        pending.attached = await attached

    def _begin(self, pending: Pending, cell: int) -> Request | None:
        """The request of a fresh record; None where none can be made, and the record has ended.

        `cell` is where the slab tells which record the slot is busy with.
        """
        record = pending.record
        if pending.attached is not None:
            record, pending.attached = pending.attached, None
        pending.first_ns = pending.first_ns or monotonic_ns()
        problem = record.problem
        if problem is None:
            try:
                request = self._render(record, pending.more)
            except UnrenderableRecord as error:
                problem = str(error)
            else:
                pending.request = request
                if pending.known_as is not None:  # it was asked before
                    pending.request = known_as(request, pending.known_as)
                elif self._unbought is not None and self._is_unbought(self._unbought, pending):
                    return None
                return pending.request
        message = f"{record.where}: {problem}"
        self._ending.unasked(record, pending.shard, "invalid_input", message)
        return None

    def _is_unbought(self, unbought: Unbought, pending: Pending) -> bool:
        """Whether a record need not be asked: its result is known, or another row asks the same."""
        assert pending.request is not None
        record, request_hash = pending.record, pending.request.request_hash
        known = unbought.find(request_hash)
        if known is not None:
            self._ending.taken(record, pending.shard, *known)
        elif unbought.claim(request_hash):
            return False
        else:
            unbought.defer(record.row)
        pending.request = None
        return True

    def _follow(self, pending: Pending, lane: Lane, attempt: Attempt) -> None:
        """Do what the verdict says."""
        pending.attempts += 1
        if attempt.cost_pusd is not None:
            pending.cost_pusd = (pending.cost_pusd or 0) + attempt.cost_pusd
        if attempt.verdict.kind == "succeeded":
            lane.note_answered(attempt)
            lane.down_since_ns = 0
            if self._judge is None:
                self._ending.after_attempt(pending, attempt, "")
            else:
                self._judged(pending, lane, attempt, self._judge)
            return
        was_down = lane.down
        unproven = self._is_unproven(pending, lane, attempt)
        forgiven = self._forgives(pending, lane, attempt)
        throttles_in_a_row = self._note_health(pending, lane, attempt, unproven)
        throttled = attempt.verdict.kind == "throttled"
        pending.throttles = pending.throttles + 1 if throttled else 0
        wait = attempt.refusal.wait_seconds if attempt.refusal else None
        decision = retry.decide(
            attempt.verdict,
            attempts=pending.attempts - pending.invalid,
            max_attempts=self._max_attempts,
            endpoint_down=unproven
            or forgiven
            or ((was_down or lane.down) and not self._gives_up(lane, attempt)),
            wait_seconds=wait,
            throttles=pending.throttles,
            exceeds_limit=throttled and lane.exceeds_limit(pending, attempt),
            names_model=pending.record.batch is not None,
            chance=random.random(),
        )
        if decision.action == retry.FINISH:
            self._give_up(pending, attempt, decision.error_class)
            return
        if not decision.counts:
            pending.attempts -= 1
        if decision.action == retry.STOP:
            if self._refresh_key(lane, attempt):
                self._heap.push(monotonic_ns(), pending)
            else:
                self._refused(pending, lane, attempt)
            return
        if unproven and self._has_untried():
            wait = max(wait or 0.0, retry.LONGEST_DELAY_SECONDS)  # let others be asked before it
            decision = msgspec.structs.replace(decision, delay_seconds=wait)
        if throttled:
            self._slab.add(C.THROTTLES, 1)
            lane.close_place()
            lane.note_throttled(throttles_in_a_row, wait, attempt)
        self._again(pending, throttled, decision)

    def _give_up(self, pending: Pending, attempt: Attempt, error_class: str) -> None:
        """Asking again would not help: the record is a dead letter."""
        self._ending.after_attempt(pending, attempt, error_class)

    def _judged(self, pending: Pending, lane: Lane, attempt: Attempt, judge: Judge) -> None:
        """End a record whose answer counts, or never will; ask the others again."""
        answer = attempt.answer
        assert answer is not None
        fate = judge.fate(answer)
        if fate.error_class:
            attempt.refusal = Refusal(message=fate.message)
        retries = fate.error_class == INVALID and pending.invalid < self._max_output_retries
        if not (retries and self._correct(pending, lane, answer, fate.message)):
            self._ending.after_attempt(pending, attempt, fate.error_class)

    def _correct(self, pending: Pending, lane: Lane, answer: Answer, problem: str) -> bool:
        """Ask again, with the answer and what is wrong with it; False where no request says that.

        At once, and ahead of fresh records: the server is well, so nothing is to be waited for.
        """
        more = (*pending.more, *correction(answer.output or "", problem))
        self._let_go(pending)
        if self._attach is None:
            try:
                request = lane.provider.request(pending.record, more)
            except UnrenderableRecord:
                return False
            pending.request = known_as(request, pending.known_as or "")
        pending.more = more
        pending.invalid += 1
        pending.spent = answer if pending.spent is None else with_tokens(answer, pending.spent)
        self._ending.spent(answer)
        self._slab.add(retry_cell(INVALID), 1)
        self._queue.appendleft(pending)
        return True

    def _let_go(self, pending: Pending) -> None:
        """Keep of a record's request its name alone: one that follows it is known by it, too.

        Whoever asks the same of the same record finds its answer by the hash of the first request.
        """
        if pending.request is not None and pending.known_as is None:
            pending.known_as = pending.request.request_hash
        if self._attach is not None:
            pending.request = None

    def _refused(self, pending: Pending, lane: Lane, attempt: Attempt) -> None:
        """The endpoint refuses for good, and there is no other: the record stays pending."""
        self._on_fatal(lane, attempt)

    def _forgives(self, pending: Pending, lane: Lane, attempt: Attempt) -> bool:
        """Whether a failure is no attempt because another endpoint can be asked: there is none."""
        return False

    def _again(self, pending: Pending, throttled: bool, decision: retry.Decision) -> None:
        """Put a record on the heap.

        A probe that never failed in earnest goes to the queue's end, so that a long outage does not
        fill the heap.
        """
        if not throttled:
            self._slab.add(retry_cell(decision.error_class), 1)
            if not pending.attempts:
                self._queue.append(pending)
                return
        if self._attach is not None:
            self._let_go(pending)
        self._put_off(pending, decision.delay_seconds)

    def _put_off(self, pending: Pending, delay_seconds: float) -> None:
        """Put a record on the heap for so long."""
        self._heap.push(monotonic_ns() + int(delay_seconds * SECOND_NS), pending)

    def _note_health(self, pending: Pending, lane: Lane, attempt: Attempt, unproven: bool) -> int:
        """Tell all workers how the endpoint fares; returns the throttles in a row.

        A record's first failure is held against the endpoint, later ones against the record, unless
        the server was not reached at all, nothing was answered since though others are there to be
        asked (see `_is_unproven`), or this one leaves no room to try them: a few records that no
        server can answer must not make a sound endpoint look down.
        """
        if attempt.verdict.kind == "throttled":
            return lane.limiter.record_throttle()
        if failed(attempt):
            lane.note_error()
            unreached = attempt.verdict.error_class in retry.UNREACHED
            is_full = len(self._heap) + 1 >= retry.HEAP_PER_SLOT * self.slots
            unproven = unproven and self._has_untried()
            first_here = not pending.failed_at & lane.bit
            blames_endpoint = first_here or unreached or unproven or is_full
            pending.failed_at |= lane.bit
            pending.failed_ns = pending.failed_ns or monotonic_ns()
            if blames_endpoint and lane.limiter.record_failure() == retry.FAILURES_UNTIL_DOWN:
                self._on_down(lane, reason_of(attempt))
        else:
            lane.note_answered(attempt)
        return 0

    def _is_unproven(self, pending: Pending, lane: Lane, attempt: Attempt) -> bool:
        """Whether a record's last attempt failed where it may still be the endpoint's fault.

        At a low rate, or while answers to earlier requests come in, a record's attempts are used up
        before ten failures in a row tell of an outage. So the last one counts only if something
        that was sent after its first failure was answered. Where nobody else is there to be asked,
        at a run's end or in a worker for suspects, it is given some time instead.
        """
        tries = pending.attempts - pending.invalid
        if tries < self._max_attempts or not (pending.failed_ns and failed(attempt)):
            return False
        if lane.answered_sent_ns > pending.failed_ns:
            return False
        if self._has_untried():
            return True
        return monotonic_ns() - pending.failed_ns < retry.ALONE_NS

    def _has_untried(self) -> bool:
        """Whether there are records to be asked that have not failed yet."""
        return any(not one.failed_ns for one in self._queue)

    def _gives_up(self, lane: Lane, attempt: Attempt) -> bool:
        """Whether an answer of an endpoint that is down counts against its record all the same.

        At the end of a run, when everything left has failed before and the endpoint, though it is
        reached, answers nothing but 5xx, or not at all, for ten minutes, only time tells records
        that no server can answer from an outage.
        """
        reached = failed(attempt) and attempt.verdict.error_class not in retry.UNREACHED
        if not lane.gives_up(reached):
            return False
        return self.exhausted and all(pending.failed_ns for pending in self._queue)


def known_as(request: Request, request_hash: str) -> Request:
    """`request`, under the hash of the record's first one."""
    return msgspec.structs.replace(request, request_hash=request_hash)


def failed(attempt: Attempt) -> bool:
    """Whether it was the server that failed, or the way to it."""
    return attempt.verdict.kind == "retry" and (attempt.status == 0 or attempt.status >= 500)


def reason_of(attempt: Attempt) -> str:
    """Why an attempt failed, in a few words."""
    status = f"HTTP {attempt.status}" if attempt.status else attempt.verdict.error_class
    said = attempt.refusal.message if attempt.refusal else ""
    return f"{status}: {said}" if said else status
