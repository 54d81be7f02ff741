"""When a dead worker's seat is filled again, and when to give up."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.respawn import (
    EARLY_DEATHS,
    EARLY_KILLS,
    FIRST_DELAY_NS,
    LONG_LIFE_NS,
    LONGEST_DELAY_NS,
    Respawn,
)


def delay_after(respawn: Respawn, now_ns: int) -> int:
    """How long after a death at `now_ns` seat 0 is due."""
    return next(
        delay
        for delay in range(0, LONGEST_DELAY_NS + 1, FIRST_DELAY_NS)
        if respawn.due(now_ns + delay)
    )


def test_a_seat_is_filled_after_a_delay_that_doubles_up_to_a_bound() -> None:
    respawn, now, delays = Respawn(1), 0, []
    for _ in range(12):
        respawn.ready(0, now)
        assert not respawn.died(0, True, now)
        delays.append(delay_after(respawn, now))
    assert delays[:4] == [FIRST_DELAY_NS << n for n in range(4)]
    assert delays[-1] == LONGEST_DELAY_NS


def test_a_long_life_starts_the_backoff_anew() -> None:
    respawn, now = Respawn(1), 0
    for _ in range(5):
        respawn.died(0, True, now)
        respawn.due(LONGEST_DELAY_NS)
    respawn.ready(0, now)
    respawn.died(0, True, now + LONG_LIFE_NS + 1)
    assert delay_after(respawn, now + LONG_LIFE_NS + 1) == FIRST_DELAY_NS


def test_the_backoff_of_one_seat_is_not_that_of_another() -> None:
    respawn = Respawn(2)
    for _ in range(5):
        respawn.died(0, True, 0)
    respawn.died(1, True, 0)
    assert respawn.due(FIRST_DELAY_NS) == [1]


def test_deaths_in_a_row_before_anyone_gets_ready_are_a_crash_loop() -> None:
    respawn = Respawn(2)
    assert [respawn.died(n % 2, False, n) for n in range(EARLY_DEATHS)] == [False, False, True]


def test_early_deaths_by_somebody_s_hand_are_a_crash_loop_after_many_more() -> None:
    """Somebody who kills processes at random hits three that start, soon enough."""
    respawn = Respawn(2)
    loops = [respawn.died(n % 2, False, n, was_killed=True) for n in range(EARLY_KILLS)]
    assert loops == [False] * (EARLY_KILLS - 1) + [True]


def test_a_worker_that_gets_ready_ends_the_row_of_early_deaths() -> None:
    respawn = Respawn(2)
    for _ in range(10):
        assert not respawn.died(0, False, 0)
        assert not respawn.died(0, False, 0)
        for _ in range(EARLY_KILLS - 1):
            assert not respawn.died(0, False, 0, was_killed=True)
        respawn.ready(1, 0)


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 60))
def test_every_death_is_followed_by_one_start_in_bounded_time(
    seed: int, seats: int, deaths: int
) -> None:
    dice, respawn, now, dead = Random(seed), Respawn(seats), 0, dict[int, int]()
    for _ in range(deaths):
        now += dice.randrange(10**9)
        for seat in respawn.due(now):
            assert now >= dead.pop(seat) + FIRST_DELAY_NS
            respawn.ready(seat, now)
        alive = [seat for seat in range(seats) if seat not in dead]
        if alive:
            seat = dice.choice(alive)
            dead[seat] = now
            respawn.died(seat, True, now)
    assert respawn.due(now + LONGEST_DELAY_NS) == sorted(dead)
    assert respawn.due(now + 2 * LONGEST_DELAY_NS) == []


def test_a_short_life_goes_on_with_the_backoff_however_late_in_the_run() -> None:
    respawn, now = Respawn(1), 10 * LONG_LIFE_NS
    for _ in range(4):
        respawn.ready(0, now)
        respawn.died(0, True, now + LONG_LIFE_NS)
        assert respawn.due(now + LONG_LIFE_NS + LONGEST_DELAY_NS) == [0]
        now += 2 * LONG_LIFE_NS
    respawn.ready(0, now)
    respawn.died(0, True, now + 1)
    assert delay_after(respawn, now + 1) == FIRST_DELAY_NS << 4
