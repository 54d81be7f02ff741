"""How many records fit into one request, and who pays what."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine import grouping
from penstock.engine.grouping import Most, RowsAtOnce
from penstock.job import Job

WEIGHTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=300)


@given(st.integers(0, 10**15), WEIGHTS)
def test_shares_add_up_and_none_is_further_than_one_from_what_is_exact(
    total: int, weights: list[int]
) -> None:
    parts = grouping.shares(total, weights)
    assert sum(parts) == total and len(parts) == len(weights)
    whole = sum(weights) or len(weights)
    for part, weight in zip(parts, weights if sum(weights) else [1] * len(weights), strict=True):
        assert part >= 0 and abs(part * whole - total * weight) < whole


@given(st.integers(0, 10**9), WEIGHTS)
def test_who_weighs_more_never_pays_less(total: int, weights: list[int]) -> None:
    paid = sorted(zip(weights, grouping.shares(total, weights), strict=True))
    assert all(one[1] <= other[1] + (one[0] == other[0]) for one, other in pairwise(paid))


@given(st.lists(st.integers(), min_size=2, max_size=300))
def test_halves_are_all_of_it_and_halving_ends_soon(members: list[int]) -> None:
    first, second = grouping.halves(members)
    assert [*first, *second] == members and 0 <= len(first) - len(second) <= 1
    halvings = 0
    while len(members) > 1:
        members = list(grouping.halves(members)[0])
        halvings += 1
    assert halvings <= 9


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"task": "chat"}, Most(1, 0)),
        ({}, Most(256, 300_000)),
        ({"rows_per_request": 2048}, Most(2048, 300_000)),
        ({"rows_per_request": 10}, Most(10, 300_000)),
        ({"provider": "gemini"}, Most(100, 204_800)),
        ({"provider": "gemini", "rows_per_request": 7}, Most(7, 204_800)),
        ({"tpm": 1_000_000}, Most(256, 50_000)),
        ({"tpm": 1_000_000, "input_tpm": 200_000}, Most(256, 10_000)),
        ({"tpm": 3}, Most(256, 1)),
        (
            {"endpoints": ({"rpm": 1}, {"provider": "gemini", "tpm": 100_000})},
            Most(100, 5000),
        ),
    ],
)
def test_a_request_holds_what_provider_limits_and_job_allow(
    options: dict[str, Any], most: Most
) -> None:
    assert grouping.most_of(Job(**{"task": "embed", **options})) == most


def test_the_largest_request_is_that_of_usual_records_but_for_the_largest_one() -> None:
    most = Most(100, 5000)
    assert grouping.largest_request(most, []) == 1
    assert grouping.largest_request(most, [10, 20]) == 1500
    assert grouping.largest_request(most, [100, 200]) == 5000
    assert grouping.largest_request(most, [10, 9000]) == 9000


def test_as_many_rows_fit_as_their_tokens_leave_room_for() -> None:
    assert grouping.rows_that_fit(Most(100, 5000), 10) == 100
    assert grouping.rows_that_fit(Most(100, 5000), 100) == 50
    assert grouping.rows_that_fit(Most(100, 5000), 9000) == 1
    assert grouping.rows_that_fit(Most(1, 0), 9000) == 1
    assert grouping.rows_that_fit(Most(100, 5000), 0) == 100


def test_fewer_rows_are_asked_for_where_more_are_refused_and_more_are_tried_again() -> None:
    size = RowsAtOnce(256)
    size.answered(256)
    assert size.rows == 256
    size.too_many(128)
    size.too_many(200)  # what was known before
    assert size.rows == 128
    answered = 0
    while size.rows == 128:
        size.answered(7)  # a short one tells nothing
        size.answered(128)
        answered += 1
    assert (answered, size.rows) == (2 * grouping.TRIED_AFTER, 256)
    size.too_many(128)
    again = 0
    while size.rows == 128:
        size.answered(128)
        again += 1
    assert again == 2 * answered
