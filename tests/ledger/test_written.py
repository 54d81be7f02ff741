"""The sums of a batch, by whichever way they are taken."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.ledger.schema import batch_of
from penstock.ledger.written import spent
from penstock.record import SUCCEEDED, Result

LARGEST = (1 << 63) - 1


def results(tokens: list[int | None], **fields: Any) -> list[Result]:
    return [
        Result(row, outcome=SUCCEEDED, input_tokens=count, **fields)
        for row, count in enumerate(tokens)
    ]


@pytest.mark.parametrize(
    ("tokens", "total"),
    [
        ([], 0),
        ([None], 0),
        ([None, 5, None, 7], 12),
        ([1, 2, 3], 6),
        ([LARGEST, LARGEST], LARGEST),
    ],
)
def test_a_null_adds_nothing_and_what_is_too_large_is_the_largest(
    tokens: list[int | None], total: int
) -> None:
    assert spent(batch_of(results(tokens))).input_tokens == total


def test_a_slice_has_the_sums_of_its_own_rows() -> None:
    batch = batch_of(results([1, 2, 4, 8], attempts=3, cost_usd=0.5))
    found = spent(batch.slice(1, 2))
    assert (found.input_tokens, found.attempts, found.cost_usd) == (6, 6, 1.0)
