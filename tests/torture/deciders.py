"""The deciders together, over many schedules in virtual time: every row ends, and ends once.

The lease table, the quarantine, the respawn, the retry heap, its budget and the decision after a
verdict are the real ones. What is simulated is what they decide about: workers that are killed or
crashed by a row, a provider that fails, throttles and goes down, and a disk that is told of late.
The schedule is the seed's.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterator
from random import Random

from engine.shards import rows_of, shards
from penstock._core import Verdict
from penstock.engine.blame import Quarantine, parted
from penstock.engine.leases import Grant, LeaseTable
from penstock.engine.respawn import Respawn
from penstock.engine.retry import (
    AGAIN,
    FAILURES_UNTIL_DOWN,
    HEAP_PER_SLOT,
    PROBE_INTERVAL_NS,
    RetryBudget,
    RetryHeap,
    decide,
)
from penstock.ledger.rows import RowSet

SECOND = 1_000_000_000
MAX_ATTEMPTS = 4
LONGEST_NS = 24 * 3600 * SECOND

SUCCEEDED = Verdict("succeeded", "")
REJECTED = Verdict("rejected", "invalid_request")
FAILED = Verdict("retry", "server_error")
THROTTLED = Verdict("throttled", "rate_limit")


class Worker:
    """What a worker holds."""

    def __init__(self, number: int, seat: int, slots: int, budget: RetryBudget) -> None:
        self.number = number
        self.seat = seat
        self.slots = slots
        self.budget = budget
        self.ready = False
        self.dead = False
        self.promised = 0
        self.queue: deque[int] = deque()
        self.heap: RetryHeap[int] = RetryHeap()
        self.busy: set[int] = set()
        self.answered: list[tuple[int, str]] = []  # in memory
        self.written: list[tuple[int, str]] = []  # on the disk, not told

    @property
    def held(self) -> int:
        return len(self.queue) + len(self.busy) + len(self.heap)


class Schedule:
    """One run, played from one event to the next."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.now = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.rows = self.dice.randrange(1, 60)
        self.slots = self.dice.randrange(1, 5)
        self.seats = self.dice.randrange(1, 4)
        self.poisoned = {r for r in range(self.rows) if self.dice.random() < 0.04}
        self.rejected = {r for r in range(self.rows) if self.dice.random() < 0.1}
        self.trouble = self.dice.choice([0.0, 0.1, 0.5])  # of an attempt: throttled or failed
        self.kills = self.dice.choice([0.0, 0.02, 0.1])  # of an attempt: its worker is killed
        outage = self.dice.randrange(60) * SECOND
        self.outage = range(outage, outage + self.dice.choice([0, 5, 100]) * SECOND)
        self.unread = deque(shards(self.rows, self.dice.randrange(1, 12)))
        self.done = RowSet()
        self.endings: dict[int, str] = {}
        self.attempts: Counter[int] = Counter()
        self.throttles: Counter[int] = Counter()
        self.failures_in_a_row = 0
        self.probed = -PROBE_INTERVAL_NS
        self.table = LeaseTable(self.done)
        self.quarantine = Quarantine()
        self.respawn = Respawn(self.seats + 1)
        self.workers: dict[int, Worker] = {}
        self.numbers = 0

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.now + int(seconds * SECOND), self._count, what))

    def play(self) -> None:
        for seat in range(self.seats):
            self.hire(seat, self.slots)
        self.tick()
        while not self.over():
            assert self._events, "nothing is due, and the run is not over"
            self.now, _, what = heapq.heappop(self._events)
            assert self.now < LONGEST_NS, "the run does not end"
            what()

    def over(self) -> bool:
        return not self.unread and self.table.idle and not self.quarantine

    def tick(self) -> None:
        """What the supervisor does again and again."""
        for seat in self.respawn.due(self.now):
            if seat < self.seats:
                self.hire(seat, self.slots)
        while self.table.hungry and self.unread:
            one = self.unread.popleft()
            self.table.add_shard(one, [(one.first_row, one.first_row + one.rows)])
        for grant in self.table.grants():
            self.lease(grant)
        self.tend()
        for worker in list(self.workers.values()):
            self.ask(worker)
            self.serve(worker)
        self.after(0.05, self.tick)

    # --- workers ---------------------------------------------------------------------------------

    def hire(self, seat: int, slots: int) -> None:
        self.numbers += 1
        worker = Worker(self.numbers, seat, slots, RetryBudget(self.now, 1 / self.seats))
        self.workers[worker.number] = worker
        self.after(self.dice.random(), lambda: self.greet(worker))

    def greet(self, worker: Worker) -> None:
        worker.ready = True
        self.respawn.ready(worker.seat, self.now)
        if worker.seat < self.seats:
            self.table.add_worker(worker.number)
        self.flush(worker)

    def ask(self, worker: Worker) -> None:
        missing = 2 * worker.slots - worker.held - worker.promised
        if worker.ready and worker.seat < self.seats and missing > 0:
            worker.promised += missing
            self.table.give_credit(worker.number, missing)

    def lease(self, grant: Grant) -> None:
        worker = self.workers[grant.worker]
        rows = rows_of(grant.wanted)
        worker.promised -= len(rows)
        others = [one for one in self.workers.values() if one is not worker]
        for row in rows:
            assert row not in self.done, f"row {row} is leased though it is done"
            assert not any(row in self.holding(one) for one in others), f"row {row} is leased twice"
        if grant.condemned:
            worker.answered += [(row, "worker_crash") for row in rows]
        else:
            worker.queue += rows

    def holding(self, worker: Worker) -> Iterator[int]:
        yield from worker.queue
        yield from worker.busy
        yield from (row for _, _, row in worker.heap.entries)

    def serve(self, worker: Worker) -> None:
        while worker.ready and len(worker.busy) < worker.slots:
            row = self.take(worker)
            if row is None:
                return
            worker.busy.add(row)
            self.after(self.dice.uniform(0.01, 0.5), lambda row=row: self.answer(worker, row))  # type: ignore[misc]

    def take(self, worker: Worker) -> int | None:
        if self.failures_in_a_row >= FAILURES_UNTIL_DOWN:
            if self.now - self.probed < PROBE_INTERVAL_NS or not (worker.queue or worker.heap):
                return None
            self.probed = self.now
            return worker.heap.pop() if len(worker.heap) else worker.queue.popleft()
        due = worker.heap.due_ns()
        if due is not None and due <= self.now and not worker.budget.spend(self.now):
            return worker.heap.pop()
        if worker.queue and len(worker.heap) < HEAP_PER_SLOT * worker.slots:
            worker.budget.fresh += 1
            return worker.queue.popleft()
        return None

    def answer(self, worker: Worker, row: int) -> None:
        if worker.dead:
            return
        if row in self.poisoned or self.dice.random() < self.kills:
            self.die(worker, accused=set(worker.busy) if row in self.poisoned else set())
            return
        worker.busy.remove(row)
        self.follow(worker, row, self.verdict(row))
        self.serve(worker)

    def verdict(self, row: int) -> Verdict:
        if self.now in self.outage:
            return FAILED
        if self.dice.random() < self.trouble:
            return self.dice.choice([FAILED, THROTTLED])
        return REJECTED if row in self.rejected else SUCCEEDED

    def follow(self, worker: Worker, row: int, verdict: Verdict) -> None:
        was_down = self.failures_in_a_row >= FAILURES_UNTIL_DOWN
        if verdict is FAILED:
            self.failures_in_a_row += 1
        elif verdict is not THROTTLED:
            self.failures_in_a_row = 0
        self.attempts[row] += 1
        self.throttles[row] = self.throttles[row] + 1 if verdict is THROTTLED else 0
        decision = decide(
            verdict,
            attempts=self.attempts[row],
            max_attempts=MAX_ATTEMPTS,
            endpoint_down=was_down or self.failures_in_a_row >= FAILURES_UNTIL_DOWN,
            wait_seconds=self.dice.choice([None, 2.0]),
            throttles=self.throttles[row],
            exceeds_limit=False,
            names_model=False,
            chance=self.dice.random(),
        )
        if not decision.counts:
            self.attempts[row] -= 1
        if decision.action == AGAIN:
            worker.heap.push(self.now + int(decision.delay_seconds * SECOND), row)
        else:
            worker.answered.append((row, decision.error_class))

    # --- the disk --------------------------------------------------------------------------------

    def flush(self, worker: Worker) -> None:
        if worker.dead:
            return
        worker.written += worker.answered
        worker.answered = []
        if self.dice.random() < 0.3:
            self.merge(worker)
        self.after(0.25, lambda: self.flush(worker))

    def merge(self, worker: Worker) -> None:
        for row, error_class in worker.written:
            assert self.done.add(row), f"row {row} ended twice"
            self.endings[row] = error_class
        worker.written = []
        self.table.settle()

    # --- deaths ----------------------------------------------------------------------------------

    def die(self, worker: Worker, accused: set[int]) -> None:
        worker.dead = True
        self.after(self.dice.random() * 0.1, lambda: self.bury(worker, accused))

    def bury(self, worker: Worker, accused: set[int]) -> None:
        self.merge(worker)
        left = self.table.remove_worker(worker.number)
        del self.workers[worker.number]
        if worker.seat == self.seats:
            self.judge(crashed=bool(accused))
            return
        innocent = []
        for grant in left:
            guilty, free = parted(grant.wanted, accused)
            self.quarantine.accuse(grant, guilty)
            innocent += [grant.of(free)] if free else []
        self.table.give_back(innocent)
        assert not self.respawn.died(worker.seat, worker.ready, self.now)

    def judge(self, crashed: bool) -> None:
        assert self.quarantine.current is not None
        undone = self.table._undone(self.quarantine.current.wanted)
        if not crashed:
            self.quarantine.interrupted(undone)
        elif (condemned := self.quarantine.crashed(undone)) is not None:
            reason = "it crashed a worker twice"
            self.table.condemn(condemned.grant.shard, condemned.wanted[0][0], reason)

    def tend(self) -> None:
        keeper = next((one for one in self.workers.values() if one.seat == self.seats), None)
        current = self.quarantine.current
        if current is not None and not self.table._undone(current.wanted):
            self.quarantine.cleared()
        if keeper is None and self.quarantine:
            self.hire(self.seats, 1)
        elif keeper is not None and keeper.ready and not keeper.dead:
            suspects = self.quarantine.next()
            if suspects is not None:
                grant = self.table.grant_to(keeper.number, suspects.grant.shard, suspects.wanted)
                self.lease(grant)
