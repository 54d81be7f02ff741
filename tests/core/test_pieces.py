"""The text of plain templates: `tests/providers/test_templates` holds it against Jinja2's."""

from __future__ import annotations

from typing import Any

import pytest

from penstock._core import join_pieces


class Column(str):
    """A piece that is a column's name."""


PIECES = ("Is ", Column("what"), "?")


@pytest.mark.parametrize(
    ("what", "text"),
    [("it", "Is it?"), ("", "Is ?"), (7, "Is 7?"), (0.5, "Is 0.5?"), (True, "Is True?")],
)
def test_what_prints_alike_is_joined(what: Any, text: str) -> None:
    assert join_pieces(PIECES, {"what": what}) == text


@pytest.mark.parametrize("what", [None, [1], {"a": 1}, b"it", Column("it")])
def test_nothing_else_is_joined(what: Any) -> None:
    assert join_pieces(PIECES, {"what": what}) is None


def test_a_column_that_is_not_there_is_not_joined() -> None:
    assert join_pieces(PIECES, {"Is ": "it"}) is None


def test_no_pieces_are_no_text() -> None:
    assert join_pieces((), {}) == ""
