"""Which row killed a worker: the guilty are found, the innocent are never condemned."""

from __future__ import annotations

import math
import signal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.shards import rows_of, shard
from penstock.engine.blame import CRASHES_ALONE, Quarantine, accuses, parted
from penstock.engine.leases import Grant, Ranges


def grant_of(first_row: int, rows: int) -> Grant:
    return Grant(1, 1, shard(first_row, rows), [(first_row, first_row + rows)])


@pytest.mark.parametrize("number", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE"])
def test_a_crash_accuses(number: str) -> None:
    assert accuses(-signal.Signals[number], False)


@pytest.mark.parametrize("status", [0, 1, 70, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT])
def test_what_comes_from_outside_accuses_nobody_but_an_unhandled_exception_does(
    status: int,
) -> None:
    assert not accuses(status, False)
    assert accuses(status, True)


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_accused_and_others_are_parted_without_losing_a_row(
    wanted: set[int], accused: set[int]
) -> None:
    ranges = [(row, row + 1) for row in sorted(wanted)]
    guilty, free = parted(ranges, accused)
    assert rows_of(guilty) == sorted(wanted & accused)
    assert rows_of(free) == sorted(wanted - accused)


def test_adjacent_rows_come_out_as_one_range() -> None:
    assert parted([(0, 10)], {3, 4, 5}) == ([(3, 6)], [(0, 3), (6, 10)])


def test_one_group_is_asked_for_at_a_time() -> None:
    quarantine = Quarantine()
    assert not quarantine
    quarantine.accuse(grant_of(0, 2), [(0, 2)])
    quarantine.accuse(grant_of(4, 2), [(4, 6)])
    quarantine.accuse(grant_of(8, 2), [])
    first = quarantine.next()
    assert first is not None and first.wanted == [(0, 2)]
    assert quarantine.next() is None
    quarantine.cleared()
    second = quarantine.next()
    assert second is not None and second.wanted == [(4, 6)]
    quarantine.cleared()
    assert quarantine.next() is None
    assert not quarantine


def test_a_row_is_condemned_by_its_second_crash_alone() -> None:
    quarantine = Quarantine()
    quarantine.accuse(grant_of(5, 1), [(5, 6)])
    quarantine.next()
    assert quarantine.crashed([(5, 6)]) is None
    quarantine.next()
    condemned = quarantine.crashed([(5, 6)])
    assert condemned is not None and condemned.wanted == [(5, 6)]
    assert not quarantine


def test_a_crash_together_with_others_does_not_count_as_one_alone() -> None:
    quarantine = Quarantine()
    quarantine.accuse(grant_of(5, 2), [(5, 7)])
    quarantine.next()
    assert quarantine.crashed([(5, 7)]) is None
    for crashes in range(1, CRASHES_ALONE + 1):
        alone = quarantine.next()
        assert alone is not None and alone.wanted == [(5, 6)]
        assert (quarantine.crashed([(5, 6)]) is not None) == (crashes == CRASHES_ALONE)


def test_a_crash_after_the_last_row_was_answered_condemns_nobody() -> None:
    quarantine = Quarantine()
    quarantine.accuse(grant_of(5, 1), [(5, 6)])
    quarantine.next()
    assert quarantine.crashed([(5, 6)]) is None
    quarantine.next()
    assert quarantine.crashed([]) is None
    assert not quarantine


def test_an_end_from_outside_changes_nothing_about_the_suspicion() -> None:
    quarantine = Quarantine()
    quarantine.accuse(grant_of(5, 1), [(5, 6)])
    for _ in range(10):
        quarantine.next()
        quarantine.interrupted([(5, 6)])
    quarantine.next()
    assert quarantine.crashed([(5, 6)]) is None
    for _ in range(10):
        quarantine.next()
        quarantine.interrupted([(5, 6)])
    quarantine.next()
    assert quarantine.crashed([(5, 6)]) is not None


def without(wanted: Ranges, done: set[int]) -> Ranges:
    return [(row, row + 1) for row in rows_of(wanted) if row not in done]


@given(
    st.integers(0, 2**32),
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
    st.floats(0, 1),
    st.sampled_from([0.0, 0.2]),
)
def test_exactly_the_guilty_are_condemned_after_a_bounded_number_of_crashes(
    seed: int, sizes: list[int], guilt: float, interruptions: float
) -> None:
    dice, quarantine = Random(seed), Quarantine()
    first, bound = 0, 0
    guilty: set[int] = set()
    for rows in sizes:
        quarantine.accuse(grant_of(first, rows), [(first, first + rows)])
        here = {row for row in range(first, first + rows) if dice.random() < guilt}
        bound += len(here) * (math.ceil(math.log2(rows)) + CRASHES_ALONE)
        guilty |= here
        first += rows
    done: set[int] = set()
    condemned: set[int] = set()
    crashes = 0
    while (group := quarantine.next()) is not None:
        for row in rows_of(group.wanted):
            if dice.random() < interruptions:
                quarantine.interrupted(without(group.wanted, done))
                break
            if row in guilty:
                crashes += 1
                found = quarantine.crashed(without(group.wanted, done))
                condemned |= {found.wanted[0][0]} if found else set()
                break
            done.add(row)
        else:
            quarantine.cleared()
    assert condemned == guilty
    assert done == set(range(first)) - guilty
    assert crashes <= bound


def test_a_quarantine_is_over_when_nothing_waits_and_nothing_is_asked_for() -> None:
    """A run that took it for over would end without those rows."""
    quarantine = Quarantine()
    quarantine.accuse(grant_of(0, 2), [(0, 2)])
    assert quarantine, "a group waits"
    quarantine.next()
    assert quarantine, "the last group is being asked for"
    quarantine.interrupted([(1, 2)])
    assert quarantine, "the rest of it waits again"
    quarantine.next()
    quarantine.cleared()
    assert not quarantine
