"""The compiled limiter itself, with another process acting between any two of its accesses.

Two processes are two handles on the same memory. What the first was interrupted in must come to
what it would have come to if the other had acted before it, or after it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, product
from random import Random
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.stepped import interrupted
from core.worlds import Spec, World, configured
from penstock._core import LINE_BYTES, OUTPUT_TOKENS, REQUESTS, TOTAL_TOKENS

pytestmark = pytest.mark.xdist_group("stepped")

MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
NOW: Final = 5 * SECOND
HORIZON: Final = SECOND
LIFTED: Final = -1
COLLISIONS: Final = 16  # a word of the header, which counts what is no part of the outcome
TAT: Final = 24  # of the first bucket
# The mark, and since when the terms hold: too late a time only makes refunds smaller.
LOOSE: Final = (25, 24 + 8 + 6, 24 + 8 + 8 + 6)
REQUEST_BUCKET: Final = Spec(REQUESTS, 7, SECOND + 13, 2, 30_000_003)
TOKEN_BUCKET: Final = Spec(OUTPUT_TOKENS, 101, 2 * SECOND + 11, 20, 30_000_003)
FASTER: Final = (1000, SECOND, 3, 0)
SLOWER: Final = (3, SECOND, 1, 50_000_000)


class Ticket(NamedTuple):
    """What a reservation gave; `holds` is whether the ticket may be used when it is due."""

    due_ns: int
    holds: bool


class Outcome(NamedTuple):
    """What an operation came to, with another one before, within or after it."""

    returned: object
    other_returned: object
    words: tuple[int, ...]

    def is_no_better_than(self, ordered: Outcome) -> bool:
        """Whether it is the same, but that a ticket may be void, or due later than needed.

        It is then charged as of that time, but at its price.
        """
        if self == ordered:
            return True
        more = [mine - its for mine, its in zip(self.words, ordered.words, strict=True)]
        later_ns = later(self.returned, ordered.returned)
        return (
            later_ns is not None
            and later(self.other_returned, ordered.other_returned) is not None
            and not any(more[n] for n in range(len(more)) if n not in LOOSE and n != TAT)
            and 0 <= more[TAT] <= later_ns
            and all(0 <= more[n] <= HORIZON for n in LOOSE)
        )


def later(mine: object, ordered: object) -> int | None:
    """How much later a ticket is due than another, in ns; None where it promises more.

    What is no ticket is no later if it is the same, or if nothing was to be had in either case.
    """
    if isinstance(mine, Ticket) and isinstance(ordered, Ticket):
        promises_more = mine.holds and (not ordered.holds or mine.due_ns < ordered.due_ns)
        return None if promises_more else max(0, mine.due_ns - ordered.due_ns)
    refused = isinstance(mine, int) and isinstance(ordered, int) and max(mine, ordered) < 0
    return 0 if refused or mine == ordered else None


class Pair:
    """Two processes at one limiter of one bucket, of which some was `used` before.

    With none used it has just become full, so that emptying it on the spot leaves TAT as it is.
    With LIFTED it bounds nothing.
    """

    def __init__(self, stepped_core: Any, spec: Spec, used: int) -> None:
        self.memory = bytearray(LINE_BYTES + stepped_core.Limiter.bytes_needed(1))
        self.first, self.second = (
            stepped_core.Limiter(self.memory, LINE_BYTES, 1) for _ in range(2)
        )
        configured([self.first], [spec], 0 if used else NOW - spec.terms().tau_ns)
        self.newest_ns = NOW - 20 * MS  # when the newest ticket was due
        for n in range(used):
            self.newest_ns = self.first.reserve(NOW - (30 - n) * MS, HORIZON, 3, 5)
        if used == LIFTED:
            self.first.lift(0)

    def words(self) -> tuple[int, ...]:
        words = list(memoryview(self.memory)[LINE_BYTES:].cast("q"))
        words[COLLISIONS] = 0
        return tuple(words)


Operation = Callable[[Pair, Any], object]  # by one of the pair's limiters


def tune_twice(limiter: Any) -> None:
    """What is read meanwhile is overwritten, and not only out of date."""
    limiter.tune(0, *SLOWER, NOW)
    limiter.tune(0, *FASTER, NOW)


OPERATIONS: Final[dict[str, Operation]] = {
    "reserve": lambda _, by: by.reserve(NOW, HORIZON, 3, 5),
    "settle for less": lambda _, by: by.settle(NOW - 20 * MS, NOW, 3, 5, 0, 0),
    "settle newest": lambda pair, by: by.settle(pair.newest_ns, NOW, 3, 5, 0, 0),
    "settle for more": lambda _, by: by.settle(NOW - 20 * MS, NOW, 3, 5, 9, 9),
    "debit": lambda _, by: by.debit(0, 4, NOW),
    "pause": lambda _, by: by.pause(NOW + 120 * MS),
    "tune faster": lambda _, by: by.tune(0, *FASTER, NOW),
    "tune slower": lambda _, by: by.tune(0, *SLOWER, NOW),
    "tune twice": lambda _, by: tune_twice(by),
    "lift": lambda _, by: by.lift(0),
    "fail": lambda _, by: by.record_failure(),
    "throttle": lambda _, by: by.record_throttle(),
    "probe": lambda _, by: by.claim_probe(NOW, SECOND),
}
# What takes several steps that others may see. What is asked of them is less: see below.
GRADUAL: Final = ("pause", "tune faster", "tune slower", "tune twice")
WHOLE: Final = [name for name in OPERATIONS if name not in GRADUAL]


def ticket_of(limiter: Any, returned: object) -> object:
    """A ticket, where a reservation gave one; else what was returned."""
    if isinstance(returned, bool) or not isinstance(returned, int) or returned < NOW:
        return returned
    return Ticket(returned, limiter.valid(returned, limiter.generation, returned))


def outcomes(
    stepped_core: Any, spec: Spec, used: int, name: str, other: str
) -> tuple[list[Outcome], Outcome, Outcome]:
    """With the other within, before each access in turn; with it before; with it after."""

    def play(at: int) -> tuple[Outcome, int]:
        pair = Pair(stepped_core, spec, used)
        others: list[object] = []

        def act_between() -> None:
            others.append(OPERATIONS[other](pair, pair.second))

        with interrupted(at, act_between) as accesses:
            returned = OPERATIONS[name](pair, pair.first)
            taken = accesses()
        if taken <= at:
            act_between()
        ticket, other_ticket = ticket_of(pair.first, returned), ticket_of(pair.second, others[0])
        return Outcome(ticket, other_ticket, pair.words()), taken

    within: list[Outcome] = []
    for at in count():
        outcome, taken = play(at)
        if taken <= at:
            return within, within[0], outcome
        within.append(outcome)
    raise AssertionError


@pytest.mark.parametrize("spec", [REQUEST_BUCKET, TOKEN_BUCKET], ids=["requests", "tokens"])
@pytest.mark.parametrize(("name", "other"), list(product(WHOLE, OPERATIONS)))
def test_what_is_interrupted_comes_out_as_if_the_other_had_gone_before_or_after(
    stepped_core: Any, spec: Spec, name: str, other: str
) -> None:
    for used in (0, 1, 2, 6, LIFTED):
        within, before, after = outcomes(stepped_core, spec, used, name, other)
        for at, outcome in enumerate(within):
            assert outcome.is_no_better_than(before) or outcome.is_no_better_than(after), (used, at)


@pytest.mark.parametrize("spec", [REQUEST_BUCKET, TOKEN_BUCKET], ids=["requests", "tokens"])
@pytest.mark.parametrize("name", GRADUAL)
def test_what_is_reserved_during_a_pause_or_a_tune_is_void_or_obeys_it(
    stepped_core: Any, spec: Spec, name: str
) -> None:
    for used in (0, 1, 2, 6, LIFTED):
        alone = Pair(stepped_core, spec, used)
        OPERATIONS[name](alone, alone.first)
        least = alone.words()[TAT]
        obedient = alone.second.reserve(NOW, HORIZON, 3, 5)
        for at in count():
            pair = Pair(stepped_core, spec, used)
            dues: list[int] = []
            with interrupted(at, partial(reserve_into, dues, pair.second)) as accesses:
                OPERATIONS[name](pair, pair.first)
                if accesses() <= at:
                    break
            given = ticket_of(pair.second, dues[0])
            assert not isinstance(given, Ticket) or not given.holds or given.due_ns >= obedient
            assert pair.words()[TAT] >= least - 1  # that changes where all is as it was


def reserve_into(dues: list[int], limiter: Any) -> None:
    dues.append(limiter.reserve(NOW, HORIZON, 3, 5))


@dataclass
class Process:
    """A handle whose next operation is interrupted, if that is planned."""

    limiter: Any
    plans: list[tuple[int, Callable[[], object]]]  # of all processes

    def __getattr__(self, name: str) -> Any:
        return getattr(self.limiter, name)

    def reserve(self, *given: int) -> Any:
        return self._do(self.limiter.reserve, given)

    def settle(self, *given: int) -> Any:
        return self._do(self.limiter.settle, given)

    def pause(self, *given: int) -> Any:
        return self._do(self.limiter.pause, given)

    def tune(self, *given: int) -> Any:
        return self._do(self.limiter.tune, given)

    def _do(self, operation: Callable[..., Any], given: tuple[int, ...]) -> Any:
        with interrupted(*self.plans.pop()) if self.plans else nullcontext():
            return operation(*given)


def play(world: World, plans: list[tuple[int, Callable[[], object]]], dice: Random) -> None:
    """An operation of one process, mostly with another's in the midst of it."""
    if dice.random() < 0.7:
        plans.append((dice.randrange(50), partial(act, world, dice, KINDS)))
    act(world, dice, [*KINDS, "tune", "advance", "advance"])
    plans.clear()


KINDS: Final = [*["reserve"] * 4, "settle", "settle", "pause"]


def act(world: World, dice: Random, kinds: list[str]) -> None:
    """One operation. The supervisor alone tunes: it is never interrupted by another tune."""
    some_time = dice.randrange(dice.choice([SECOND // 50, SECOND]))
    costs = dice.randrange(40), dice.randrange(40)
    kind = dice.choice(kinds)
    if kind == "reserve":
        lateness = dice.choice([0.0, 0.7, 1.0])
        world.reserve(dice.randrange(3), some_time, *costs, lateness=lateness, lost=False)
    elif kind == "settle":
        world.settle(dice.randrange(3), dice.randrange(5), *costs)
    elif kind == "pause" and dice.random() < 0.2:
        world.pause(dice.randrange(3), some_time)
    elif kind == "tune" and dice.random() < 0.2:
        bucket = dice.randrange(len(BUCKETS))
        limit = dice.randrange(5, 200)
        world.tune(bucket, replace(BUCKETS[bucket], limit=limit, ceiling=dice.randrange(1, 6)))
        del world.starts[-len(BUCKETS) :]  # refunds may come for what was sent before
    elif kind == "advance":
        world.advance(some_time)


BUCKETS: Final = [REQUEST_BUCKET, Spec(TOTAL_TOKENS, 101, 2 * SECOND + 11, 20, 30_000_003)]


@settings(max_examples=150)
@given(st.integers(0, 2**32), st.integers(50, 300))
def test_the_promise_holds_wherever_another_process_comes_between(
    stepped_core: Any, seed: int, length: int
) -> None:
    memory = bytearray(LINE_BYTES + stepped_core.Limiter.bytes_needed(len(BUCKETS)))
    plans: list[tuple[int, Callable[[], object]]] = []
    handles = [
        Process(stepped_core.Limiter(memory, LINE_BYTES, len(BUCKETS)), plans) for _ in range(3)
    ]
    world, dice = World(configured(handles, BUCKETS, 0), list(BUCKETS)), Random(seed)
    for _ in range(length):
        play(world, plans, dice)
    world.check()
