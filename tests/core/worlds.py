"""A small world in virtual time: some handles on one endpoint, and what was sent when.

`World` plays operations, sends each ticket when its time has come if it is still valid then, and at
the end checks what the limiter promises, on the times of sending.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from core import twins
from penstock import _core


@dataclass(frozen=True)
class Spec:
    resource: int
    limit: int
    window_ns: int
    ceiling: int
    late_ns: int

    def terms(self) -> twins.Terms:
        return twins.Terms(self.limit, self.window_ns, self.ceiling, self.late_ns, 0)


def configured(handles: list[Any], specs: list[Spec], now_ns: int) -> list[Any]:
    for index, spec in enumerate(specs):
        handles[0].configure(
            index, spec.resource, spec.limit, spec.window_ns, spec.ceiling, spec.late_ns, now_ns
        )
    return handles


def core_handles(specs: list[Spec], handles: int, now_ns: int = 0) -> list[Any]:
    memory = bytearray(64 + _core.Limiter.bytes_needed(len(specs)))
    made = [_core.Limiter(memory, 64, len(specs)) for _ in range(handles)]
    return configured(made, specs, now_ns)


def twin_handles(specs: list[Spec], handles: int, now_ns: int = 0) -> list[Any]:
    endpoint = twins.Endpoint([None] * len(specs))
    return configured([twins.Limiter(endpoint) for _ in range(handles)], specs, now_ns)


HandleMaker = Callable[..., list[Any]]
IMPLEMENTATIONS: dict[str, HandleMaker] = {"core": core_handles, "twin": twin_handles}


@dataclass
class Ticket:
    due: int
    generation: int
    predicted: tuple[int, int]
    used: tuple[int, int]
    epoch: int
    sent_at: int = -1
    settled: bool = False


@dataclass
class Start:
    """From here on, a bucket gave tickets of this generation or later from this level.

    It is `refundable` where another bucket was tuned: what was charged before may be given back
    after. To a bucket that was tuned itself, or paused, nothing is.
    """

    at: int
    generation: int
    epoch: int
    bucket: int
    level: float = 0.0
    refundable: bool = False


def most_in_a_window(sends: list[tuple[int, int]], window_ns: int) -> int:
    """The largest cost of any half-open window; `sends` are (time, cost)."""
    sends = sorted(sends)
    most = inside = first = 0
    for time, cost in sends:
        inside += cost
        while sends[first][0] <= time - window_ns:
            inside -= sends[first][1]
            first += 1
        most = max(most, inside)
    return most


@dataclass
class World:
    handles: list[Any]
    specs: list[Spec]
    now: int = 0
    given: int = 0
    epoch: int = 0  # counts the tunes that changed something
    pending: list[tuple[int, int, Ticket]] = field(default_factory=list)
    sent: list[Ticket] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    history: list[list[Spec]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.history.append(list(self.specs))
        self.note_empty(self.now, 0)

    def reserve(
        self, handle: int, horizon: int, inputs: int, outputs: int, lateness: float, lost: bool
    ) -> int:
        limiter = self.handles[handle % len(self.handles)]
        due = int(limiter.reserve(self.now, horizon, inputs, outputs))
        if due >= 0 and not lost:
            self.give(limiter.generation, due, (inputs, outputs), lateness)
        return due

    def give(self, generation: int, due: int, costs: tuple[int, int], lateness: float) -> None:
        late = min((spec.late_ns for spec in self.specs), default=0)
        ticket = Ticket(due, generation, costs, costs, self.epoch)
        self.given += 1
        heapq.heappush(self.pending, (due + int(lateness * late), self.given, ticket))

    def advance(self, by: int) -> None:
        until = self.now + by
        while self.pending and self.pending[0][0] <= until:
            at, _, ticket = heapq.heappop(self.pending)
            self.now = max(self.now, at)
            # What comes after its time is the caller's to refuse: only then it is asked.
            if self.handles[0].valid(ticket.due, ticket.generation, self.now):
                ticket.sent_at = self.now
                self.sent.append(ticket)
        self.now = until

    def settle(self, handle: int, which: int, inputs: int, outputs: int) -> None:
        open_tickets = [ticket for ticket in self.sent if not ticket.settled]
        if not open_tickets:
            return
        ticket = open_tickets[which % len(open_tickets)]
        ticket.settled, ticket.used = True, (inputs, outputs)
        before = [self.handles[0].level(index, self.now) for index in range(len(self.specs))]
        self.handles[handle % len(self.handles)].settle(
            ticket.due, self.now, *ticket.predicted, *ticket.used
        )
        for start in self.starts:
            if start.refundable and ticket.generation < start.generation:
                now = self.handles[0].level(start.bucket, self.now)
                start.level += max(0.0, now - before[start.bucket])

    def pause(self, handle: int, duration: int) -> bool:
        limiter = self.handles[handle % len(self.handles)]
        paused = bool(limiter.pause(self.now + duration))
        if paused:
            self.note_empty(self.now + duration, self.generation())
        return paused

    def tune(self, bucket: int, spec: Spec) -> None:
        before = [self.handles[0].level(index, self.now) for index in range(len(self.specs))]
        self.handles[0].tune(
            bucket, spec.limit, spec.window_ns, spec.ceiling, spec.late_ns, self.now
        )
        if spec != self.specs[bucket]:
            self.specs[bucket] = spec
            self.epoch += 1
            self.history.append(list(self.specs))
        for index, level in enumerate(before):
            self.starts.append(
                Start(self.now, self.generation(), self.epoch, index, level, index != bucket)
            )

    def generation(self) -> int:
        return next(g for g in range(10_000) if self.handles[0].valid(0, g, 0))

    def note_empty(self, at: int, generation: int) -> None:
        for index in range(len(self.specs)):
            self.starts.append(Start(at, generation, self.epoch, index))

    def drain(self) -> None:
        while self.pending:
            self.advance(max(0, self.pending[0][0] - self.now))

    def spent(self, bucket: int, epoch: int) -> Iterator[tuple[Ticket, int]]:
        """What was sent in an epoch, with what it used of a bucket. Whoever used more than was
        predicted pays the rest later: at the time of sending nobody could know."""
        spec = self.history[epoch][bucket]
        for ticket in self.sent:
            if ticket.epoch == epoch:
                costs = [
                    min((1, sum(pair), *pair)[spec.resource], spec.limit)
                    for pair in (ticket.predicted, ticket.used)
                ]
                yield ticket, min(costs)

    def check(self) -> None:
        self.drain()
        for epoch, specs in enumerate(self.history):
            for index, spec in enumerate(specs):
                spent = list(self.spent(index, epoch))
                self.check_windows(spec, spent)
                for start in self.starts:
                    if (start.epoch, start.bucket) == (epoch, index):
                        self.check_began(spec, start, spent)

    def check_windows(self, spec: Spec, spent: list[tuple[Ticket, int]]) -> None:
        most = most_in_a_window([(ticket.sent_at, cost) for ticket, cost in spent], spec.window_ns)
        assert most <= spec.limit, f"{most} within a window, {spec}"

    def check_began(self, spec: Spec, start: Start, spent: list[tuple[Ticket, int]]) -> None:
        taken, terms = 0, spec.terms()
        level_ns = min(max(0, start.level), spec.ceiling) * terms.span_ns / terms.units
        after = sorted(
            (ticket.due, cost)
            for ticket, cost in spent
            if ticket.generation >= start.generation and cost
        )
        for number, (due, cost) in enumerate(after):
            taken += terms.cost_ns(cost)
            # One ticket above the ceiling may also use the idleness before the start.
            if number or start.level < spec.ceiling or cost <= spec.ceiling:
                assert taken <= due - start.at + level_ns + 1, f"{taken} ns, {start}, {spec}"
