"""What the records of all formats have in common."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.sources.decoded import id_of


@pytest.mark.parametrize(
    ("fields", "column", "expected"),
    [
        ({"id": "a", "custom_id": "b"}, None, "a"),
        ({"custom_id": "b"}, None, "b"),
        ({"id": 7}, None, "7"),
        ({"id": [1, "x"]}, None, '[1,"x"]'),
        ({"id": None}, None, None),
        ({"name": "c", "id": "a"}, "name", "c"),
        ({"id": "a"}, "name", None),
        ({}, None, None),
    ],
)
def test_an_id_is_text_of_the_named_column_or_of_the_usual_ones(
    fields: dict[str, Any], column: str | None, expected: str | None
) -> None:
    assert id_of(fields, column) == expected
