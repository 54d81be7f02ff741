"""The one decision between copies of a row."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.ledger.choice import Copy, choose

SMALL = st.integers(0, 2)
COPIES = st.lists(
    st.builds(Copy, SMALL, st.booleans(), SMALL, SMALL, SMALL, SMALL),
    min_size=1,
    unique_by=lambda copy: copy.place,
)


def test_within_a_generation_the_copy_written_first_counts_be_it_a_failure() -> None:
    late = Copy(0, True, epoch=2, worker=1, segment=0, batch=0)
    first = Copy(0, False, epoch=1, worker=3, segment=0, batch=9)
    assert choose([late, first]) == first
    assert choose([first._replace(batch=10), first]) == first
    assert choose([first._replace(segment=1, batch=0), first]) == first
    assert choose([first._replace(worker=4, batch=0), first]) == first


def test_a_redo_that_succeeds_beats_the_failure_before_it() -> None:
    failed = Copy(0, False, 1, 1, 0, 0)
    assert choose([failed, Copy(1, True, 2, 1, 0, 0)]).generation == 1


def test_a_redo_that_fails_does_not_take_a_success_away() -> None:
    succeeded = Copy(0, True, 1, 1, 0, 0)
    assert choose([Copy(1, False, 2, 1, 0, 0), succeeded]) == succeeded


def test_between_equals_the_later_generation_counts() -> None:
    for succeeded in (True, False):
        copies = [Copy(number, succeeded, number, 1, 0, 0) for number in (1, 3, 2)]
        assert choose(copies).generation == 3


def test_copies_that_would_beat_each_other_in_a_circle_are_decided_all_the_same() -> None:
    first = Copy(0, False, 1, 1, 0, 0)
    second = Copy(0, True, 1, 1, 0, 1)
    redone = Copy(1, False, 2, 1, 0, 0)
    assert choose([first, second, redone]) == redone


@given(COPIES, st.randoms())
def test_the_order_of_reading_does_not_matter(copies: list[Copy], random: object) -> None:
    chosen = choose(copies)
    shuffled = list(copies)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert choose(shuffled) == chosen


@given(COPIES)
def test_a_success_counts_unless_an_earlier_copy_of_its_generation_failed(
    copies: list[Copy],
) -> None:
    heads = {}
    for copy in sorted(copies, key=lambda one: one.place, reverse=True):
        heads[copy.generation] = copy.place
    chosen = choose(copies)
    assert chosen.place == heads[chosen.generation]
    if not chosen.succeeded:
        assert chosen.generation == max(heads)
