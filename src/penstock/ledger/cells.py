"""Cells of any Arrow type as text and as JSON, for the output formats that have fewer types."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.types as kinds

from penstock.sources.microseconds import in_microseconds


def json_values(column: pa.Array) -> list[Any]:
    """Cells as Python values that msgspec encodes to JSON: times are RFC 3339, bytes base64."""
    spelled = times(column) if is_time_line(column.type) else in_microseconds(column)
    try:
        values: list[Any] = spelled.to_pylist()
    except (ValueError, OverflowError):
        values = [json_value(cell) for cell in spelled]
    return values


def json_value(cell: pa.Scalar) -> Any:
    """A cell of a column in which some have no value in Python, such as a year after 9999.

    Such a cell is Arrow's text for it; within a list or a struct it makes the whole null.
    """
    try:
        return cell.as_py()
    except (ValueError, OverflowError):
        return None if kinds.is_nested(cell.type) else cell.cast(pa.string()).as_py()


def texts(column: pa.Array) -> pa.Array:
    """Cells of any type as strings, spelled as in JSON but without the quotes around the whole."""
    kind = column.type
    if is_time_line(kind):
        return times(column)
    if kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind):
        return column.cast(pa.string())
    spelled = [
        value if value is None or isinstance(value, str) else unquoted(msgspec.json.encode(value))
        for value in json_values(column)
    ]
    return pa.array(spelled, pa.string())


def unquoted(encoded: bytes) -> str:
    return encoded.decode().removeprefix('"').removesuffix('"')


def is_time_line(kind: pa.DataType) -> bool:
    """Whether `kind` is a timestamp that Arrow spells by itself: without a zone, or in UTC."""
    return bool(kinds.is_timestamp(kind) and kind.tz in (None, "UTC"))


def times(column: pa.Array) -> pa.Array:
    """Timestamps as RFC 3339 text; without the Z where they have no zone."""
    import pyarrow.compute as pc  # late: a run opens its output's writer before it begins

    # Arrow writes 2026-03-01 12:00:00Z; strftime would take ten times as long.
    return pc.replace_substring(column.cast(pa.string()), " ", "T", max_replacements=1)
