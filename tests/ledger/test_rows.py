"""Sets of rows, against Python's own sets."""

from __future__ import annotations

import sys
from array import array
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.ledger.row_page import PAGE_ROWS
from penstock.ledger.rows import RowSet

ROW = st.integers(0, 300) | st.integers(PAGE_ROWS - 40, PAGE_ROWS + 40)
FEW = st.sets(ROW)
MANY = st.tuples(st.integers(0, 2 * PAGE_ROWS), st.integers(0, 2 * PAGE_ROWS)).map(
    lambda p: set(range(p[0], p[0] + p[1]))
)
ROWS = st.one_of(FEW, st.tuples(FEW, MANY).map(lambda p: p[0] | p[1]))
RANGES = st.tuples(ROW, st.integers(0, 90)).map(lambda p: (p[0], p[0] + p[1]))


def buffer(rows: list[int]) -> bytes:
    return array("q", rows).tobytes()


def set_of(rows: set[int]) -> RowSet:
    made = RowSet()
    made.add_many(buffer(list(rows)))
    return made


@given(ROWS)
def test_ranges_are_ascending_and_apart_and_give_the_set_back(rows: set[int]) -> None:
    made = set_of(rows)
    ranges = list(made.ranges())
    assert [row for start, end in ranges for row in range(start, end)] == sorted(rows)
    assert all(one[1] < two[0] for one, two in pairwise(ranges))
    assert RowSet(ranges) == made
    assert list(made) == sorted(rows)
    assert len(RowSet(ranges)) == len(made) == len(rows)


@given(st.lists(RANGES), ROWS)
def test_ranges_and_rows_add_up(ranges: list[tuple[int, int]], rows: set[int]) -> None:
    made, model = set_of(rows), set(rows)
    for start, end in ranges:
        assert made.add_range(start, end) == len(set(range(start, end)) - model)
        model |= set(range(start, end))
    assert set(made) == model
    assert len(made) == len(model)


@given(ROWS, st.lists(ROW) | st.lists(ROW, min_size=40))
def test_the_rows_that_were_there_already_are_told_and_not_counted(
    rows: set[int], more: list[int]
) -> None:
    made, model, repeated = set_of(rows), set(rows), []
    for row in more:
        if row in model:
            repeated.append(row)
        model.add(row)
    twin = made.copy()
    assert sorted(made.add_new(buffer(more))) == sorted(repeated)
    assert twin.add_many(buffer(more)) == len(model) - len(rows)
    assert made == twin == set_of(model)


@given(ROWS, RANGES)
def test_what_is_missing_from_a_range_is_all_that_is_not_in_the_set(
    rows: set[int], within: tuple[int, int]
) -> None:
    missing = list(set_of(rows).missing(*within))
    assert [row for part in missing for row in range(*part)] == sorted(set(range(*within)) - rows)
    assert all(start < end for start, end in missing)


def test_what_is_missing_on_several_pages_is_one_range() -> None:
    many = RowSet([(0, 8000), (8100, 8200), (40_000, 40_001)])
    assert list(many.missing(5000, 99_000)) == [(8000, 8100), (8200, 40_000), (40_001, 99_000)]
    assert list(many.missing(8150, 30_000)) == [(8200, 30_000)]
    assert list(RowSet().missing(3, 30_000)) == [(3, 30_000)]
    assert list(RowSet([(0, 16_384)]).missing(8000, 16_384)) == []
    assert list(RowSet([(0, 16_384)]).ranges()) == [(0, 16_384)]


@given(ROWS, st.integers(0, 99), st.lists(st.integers(0, 99), max_size=5))
def test_the_low_water_mark_is_the_first_row_that_is_not_in_the_set(
    rows: set[int], begun: int, gone: list[int]
) -> None:
    model = rows | set(range(begun))
    made = set_of(model)
    for row in [None, *gone]:
        if row is not None:
            assert made.discard(row) == (row in model)
            model.discard(row)
        assert made.low_water == next(row for row in range(5 * PAGE_ROWS) if row not in model)
        assert len(made) == len(model)


@given(ROWS, ROWS)
def test_a_copy_and_a_union_leave_the_first_set_alone(one: set[int], two: set[int]) -> None:
    first = set_of(one)
    union = first.copy()
    union.update(set_of(two))
    assert set(union) == one | two
    assert len(union) == len(one | two)
    assert set(first) == one


def test_a_copy_counts_its_own_rows() -> None:
    """A page that counts another one's rows is taken for full while a row of it is not there."""
    first = RowSet([(0, PAGE_ROWS - 2)])
    twin = first.copy()
    first.add(PAGE_ROWS - 1)
    twin.add(PAGE_ROWS - 1)
    assert PAGE_ROWS - 2 not in twin
    assert (len(twin), twin.low_water) == (PAGE_ROWS - 1, PAGE_ROWS - 2)


@given(ROWS)
def test_a_bitmap_gives_the_set_back(rows: set[int]) -> None:
    made = RowSet.from_bytes(set_of(rows).to_bytes())
    assert made == set_of(rows)
    assert len(made) == len(rows)
    assert made.low_water == set_of(rows).low_water
    made.add(PAGE_ROWS + 500)
    assert set(made) == rows | {PAGE_ROWS + 500}


@given(ROWS, st.integers(0, 3))
def test_a_bitmap_may_leave_out_the_first_rows_that_are_all_there(
    rows: set[int], pages: int
) -> None:
    first = set_of(rows)
    first.add_range(0, pages * PAGE_ROWS)
    assert first.full_rows >= pages * PAGE_ROWS
    rest = first.to_bytes(first.full_rows)
    assert len(rest) <= len(first.to_bytes()) - first.full_rows // 8
    made = RowSet.from_bytes(rest, first.full_rows)
    assert made == first
    assert (len(made), made.low_water) == (len(first), first.low_water)
    made.add(PAGE_ROWS * 9)
    assert len(made) == len(first) + 1


@given(ROWS)
def test_membership_is_that_of_the_rows(rows: set[int]) -> None:
    made = set_of(rows)
    assert all((row in made) == (row in rows) for row in range(-9, 5 * PAGE_ROWS))


def test_what_is_missing_is_told_to_the_row() -> None:
    held = set(range(400)) - {5, 8, 15, 16, 31}  # enough of them to be kept as a bitmap
    made = set_of(held)
    for start in range(40):
        for end in range(start + 1, 50):
            missing = [row for part in made.missing(start, end) for row in range(*part)]
            assert missing == sorted(set(range(start, end)) - held)


def test_one_row_is_added_once() -> None:
    made = RowSet()
    assert made.add(5)
    assert not made.add(5)
    assert len(made) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: RowSet([(5, 3)]),
        lambda: RowSet().add(-1),
        lambda: RowSet().add_new(buffer([-1] * 99)),
    ],
)
def test_what_is_no_row_is_refused(wrong: type[RowSet]) -> None:
    with pytest.raises(ValueError, match="no r"):
        wrong()


def test_ten_million_rows_that_were_done_in_about_ascending_order_take_next_to_nothing() -> None:
    made = RowSet([(0, 9_990_000)])
    made.add_range(9_991_000, 10_000_000)
    assert len(made) == 9_999_000
    assert made.low_water == 9_990_000
    assert list(made.ranges()) == [(0, 9_990_000), (9_991_000, 10_000_000)]
    assert size_of(made) < 30_000


def test_rows_here_and_there_take_a_few_bytes_each() -> None:
    made = set_of(set(range(0, 10_000_000, 1009)))
    assert size_of(made) < 20 * len(made)
    assert list(made) == list(range(0, 10_000_000, 1009))


def size_of(rows: RowSet) -> int:
    """The bytes that a set takes; pages that it shares count once."""
    pages = {id(page): sys.getsizeof(page) for page in rows._pages}
    return sum(pages.values()) + sys.getsizeof(rows._pages) + sys.getsizeof(rows._counts)


def test_a_row_that_is_taken_out_is_the_low_water_mark_wherever_that_was() -> None:
    made = RowSet([(0, 3 * PAGE_ROWS)])
    assert made.low_water == 3 * PAGE_ROWS
    assert made.discard(5)
    assert made.low_water == 5
