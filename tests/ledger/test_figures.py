"""The figures of a run, from the copies that count."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.ledger.figures import Figures
from penstock.ledger.schema import batch_of
from penstock.record import FAILED, SUCCEEDED, Result


def figures_of(*batches: list[Result]) -> Figures:
    figures = Figures()
    for results in batches:
        figures.add(batch_of(results))
    return figures


def test_failures_are_counted_by_class_with_the_first_row_as_example() -> None:
    figures = figures_of(
        [
            Result(row=0, outcome=SUCCEEDED, attempts=1),
            Result(row=1, id="x", outcome=FAILED, error_class="timeout", error_message="late"),
        ],
        [
            Result(row=2, outcome=FAILED, error_class="timeout", attempts=5),
            Result(row=3, outcome=FAILED, error_class="not_found"),
            Result(row=4, outcome=FAILED),
        ],
    )
    assert (figures.rows, figures.succeeded, figures.failed, figures.attempts) == (5, 1, 4, 6)
    timeout = figures.failed_by_class["timeout"]
    assert (timeout.count, timeout.row, timeout.id, timeout.message) == (2, 1, "x", "late")
    assert figures.failed_by_class["not_found"].count == 1
    assert figures.failed_by_class["unknown"].row == 4


def test_tokens_are_disjoint_so_that_they_add_up() -> None:
    usage = Result(
        row=0,
        outcome=SUCCEEDED,
        input_tokens=10,
        cached_input_tokens=4,
        output_tokens=7,
        reasoning_tokens=2,
    )
    assert figures_of([usage], [usage, Result(row=2, outcome=SUCCEEDED)]).tokens == {
        "uncached_input": 12,
        "cached_input": 8,
        "visible_output": 10,
        "reasoning": 4,
    }


def test_cost_is_unknown_unless_a_row_tells_it() -> None:
    free = Result(row=0, outcome=SUCCEEDED)
    paid = Result(row=1, outcome=SUCCEEDED, cost_usd=0.25)
    assert figures_of([free]).cost_usd is None
    assert figures_of([free, paid], [paid]).cost_usd == 0.5


def test_two_figures_share_nothing() -> None:
    figures_of([Result(row=0, outcome=FAILED)])
    assert Figures().failed_by_class == {}


def test_no_rows_have_no_quantile() -> None:
    assert figures_of([Result(row=0, outcome=FAILED)]).quantile_seconds(0.5) is None


@given(
    st.lists(st.floats(1e-4, 600), min_size=1, max_size=60),
    st.sampled_from([0.5, 0.9, 0.99, 1.0]),
)
def test_a_quantile_is_within_one_percent(seconds: list[float], share: float) -> None:
    random.Random(1).shuffle(seconds)
    results = [
        Result(row=row, outcome=SUCCEEDED, latency_seconds=one) for row, one in enumerate(seconds)
    ]
    half = len(results) // 2
    found = figures_of(results[:half], results[half:]).quantile_seconds(share)
    place = next(n for n in range(1, len(seconds) + 1) if n >= share * len(seconds))
    assert found == pytest.approx(sorted(seconds)[place - 1], rel=0.0101)


def test_an_answer_in_no_time_is_counted() -> None:
    result = Result(row=0, outcome=SUCCEEDED, latency_seconds=0.0)
    assert figures_of([result]).quantile_seconds(0.5) == pytest.approx(1e-6, rel=0.0101)
