"""The limiter's protocol under any interleaving of its accesses to shared memory, on the twin.

Tasks of the twin that reserve, settle, pause and tune take single steps in an order that hypothesis
picks, and may die at any of them. In the core itself a test can only play a whole operation between
two accesses of another: see `test_limiter_stepped`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.twins import Endpoint, Limiter
from core.worlds import Spec, Ticket, World, twin_handles
from penstock._core import OUTPUT_TOKENS, REQUESTS, TOTAL_TOKENS

SECOND = 1_000_000_000
BUCKETS = [
    Spec(REQUESTS, 7, SECOND + 13, 2, 30_000_003),
    Spec(TOTAL_TOKENS, 101, 2 * SECOND + 11, 20, 30_000_003),
]


@dataclass
class Task:
    steps: Generator[None, None, int]
    finished: Callable[[int], None]

    def step(self) -> bool:
        """Takes one step; False when there is none left."""
        try:
            next(self.steps)
        except StopIteration as end:
            self.finished(end.value)
            return False
        return True


@dataclass
class Race(World):
    """A world whose operations run as tasks, one step at a time."""

    tasks: list[Task] = field(default_factory=list)

    def handle(self) -> Any:
        return Limiter(self.handles[0].shared)

    def start_reserve(self, horizon: int, costs: tuple[int, int], lateness: float) -> None:
        limiter, epoch = self.handle(), self.epoch

        def finished(due: int) -> None:
            if due >= 0 and epoch == self.epoch:
                self.give(limiter.generation, due, costs, lateness)

        self.tasks.append(Task(limiter.reserve_steps(self.now, horizon, *costs), finished))

    def start_settle(self, which: int, used: tuple[int, int]) -> None:
        open_tickets = [ticket for ticket in self.sent if not ticket.settled]
        if open_tickets:
            ticket = open_tickets[which % len(open_tickets)]
            ticket.settled = True
            steps = self.handle().settle_steps(ticket.due, self.now, ticket.predicted, used)
            self.tasks.append(Task(steps, partial(self.finish_settle, ticket, used)))

    def finish_settle(self, ticket: Ticket, used: tuple[int, int], _: int) -> None:
        ticket.used = used

    def start_pause(self, duration: int) -> None:
        until = self.now + duration

        def finished(paused: int) -> None:
            if paused:
                self.note_empty(until, self.generation())

        self.tasks.append(Task(self.handle().pause_steps(until), finished))

    def step(self, which: int) -> None:
        if self.tasks:
            task = self.tasks[which % len(self.tasks)]
            if not task.step():
                self.tasks.remove(task)

    def kill(self, which: int) -> None:
        if self.tasks:
            del self.tasks[which % len(self.tasks)]


KINDS = ["reserve"] * 2 + ["settle", "pause", "advance", "kill"] + ["step"] * 4


def play(world: Race, dice: Random) -> None:
    costs = dice.randrange(40), dice.randrange(40)
    some_time = dice.randrange(dice.choice([SECOND // 50, SECOND]))
    kind = dice.choice(KINDS)
    if kind == "reserve":
        world.start_reserve(some_time, costs, dice.choice([0.0, 0.7, 1.0]))
    elif kind == "settle":
        world.start_settle(dice.randrange(5), costs)
    elif kind == "pause":
        if dice.random() < 0.2:
            world.start_pause(some_time)
    elif kind == "advance":
        world.advance(some_time)
    elif kind == "kill":
        world.kill(dice.randrange(5))
    else:
        which = dice.randrange(5)
        for _ in range(dice.choice([1, 2, 3, 30])):
            world.step(which)


@settings(max_examples=500)
@given(st.integers(0, 2**32), st.integers(50, 400))
def test_the_promise_holds_under_any_interleaving(seed: int, length: int) -> None:
    world, dice = Race(twin_handles(BUCKETS, 1), BUCKETS), Random(seed)
    for _ in range(length):
        play(world, dice)
    world.check()


def endpoint_after(*tasks: Generator[None, None, int], order: list[int]) -> list[int | None]:
    """What the tasks return when stepped in this order, then each to its end."""
    returned: list[int | None] = [None] * len(tasks)
    for which in [*order, *[index for index in range(len(tasks)) for _ in range(200)]]:
        try:
            next(tasks[which])
        except StopIteration as end:
            returned[which] = end.value if end.value is not None else returned[which]
    return returned


def one_bucket(resource: int) -> tuple[Endpoint, Limiter, Limiter]:
    first, second = twin_handles([Spec(resource, 10, SECOND, 1, 0)], 2)
    return first.shared, first, second


def test_two_that_race_for_one_place_get_different_dues_and_collide() -> None:
    shared, first, second = one_bucket(REQUESTS)
    now = 5 * SECOND
    tasks = first.reserve_steps(now, SECOND, 0, 0), second.reserve_steps(now, SECOND, 0, 0)
    dues = endpoint_after(*tasks, order=[0, 1] * 7)
    assert sorted(due for due in dues if due is not None) == [now, now + SECOND // 10]
    assert shared.collisions > 0


@pytest.mark.parametrize("ahead", range(6))
@pytest.mark.parametrize("taken", [1, 2])
def test_a_refund_that_races_with_a_pause_does_not_fill_the_bucket(ahead: int, taken: int) -> None:
    shared, first, second = one_bucket(OUTPUT_TOKENS)
    now = 5 * SECOND
    due = [first.reserve(now, SECOND, 0, 1) for _ in range(taken)][-1]
    settle = first.settle_steps(due, now, (0, 1), (0, 0))
    until = now + SECOND // 20
    endpoint_after(settle, second.pause_steps(until), order=[0] * ahead + [1] * 10)
    bucket = shared.buckets[0]
    assert bucket is not None
    assert bucket.tat >= until + bucket.terms.tau_ns


def test_a_pause_whose_caller_dies_half_way_still_holds() -> None:
    for survived in range(1, 8):
        _, first, second = one_bucket(REQUESTS)
        steps = first.pause_steps(9 * SECOND)
        for _ in range(survived):
            next(steps, None)
        steps.close()
        if first.paused_until():
            assert second.reserve(5 * SECOND, 10 * SECOND, 0, 0) >= 9 * SECOND
        assert second.pause(9 * SECOND + 1)
        assert second.reserve(5 * SECOND, 10 * SECOND, 0, 0) > 9 * SECOND
