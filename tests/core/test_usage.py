"""An answer's tokens in disjoint parts."""

from __future__ import annotations

import pytest

from penstock._core import disjoint_tokens


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ((100, 30, 50, 20), (70, 30, 30, 20)),
        ((None, None, None, None), (0, 0, 0, 0)),
        ((7, None, 5, None), (7, 0, 5, 0)),
        ((10, 30, 5, 20), (0, 30, 0, 20)),
        ((10, -(2**63), 5, -1), (10, 0, 5, 0)),
    ],
)
def test_a_part_is_taken_from_its_whole_and_never_more_than_that(
    said: tuple[int | None, ...], parts: tuple[int, ...]
) -> None:
    assert disjoint_tokens(*said) == parts  # type: ignore[call-arg,arg-type]
