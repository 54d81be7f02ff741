"""Nanoseconds are dropped wherever they are, and nothing else changes."""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa
import pytest

from penstock.sources.microseconds import in_microseconds

NS = pa.timestamp("ns")
AT = datetime.datetime(1970, 1, 1, microsecond=1)


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        (NS, 1_999, AT),
        (pa.time64("ns"), 1_999, AT.time()),
        (pa.duration("ns"), 1_999, datetime.timedelta(microseconds=1)),
        (pa.list_(NS), [1_999, None], [AT, None]),
        (pa.large_list(NS), [1_999], [AT]),
        (pa.list_(NS, 1), [1_999], [AT]),
        (pa.map_(pa.string(), NS), [("k", 1_999)], [("k", AT)]),
        (pa.struct([("a", pa.list_(NS))]), {"a": [1_999]}, {"a": [AT]}),
    ],
    ids=str,
)
def test_python_can_hold_what_is_left(kind: pa.DataType, cell: Any, value: Any) -> None:
    assert in_microseconds(pa.array([cell, None], kind)).to_pylist() == [value, None]


@pytest.mark.parametrize(
    "kind", [pa.timestamp("s"), pa.timestamp("us", "UTC"), pa.int64()], ids=str
)
def test_a_column_without_nanoseconds_is_left_alone(kind: pa.DataType) -> None:
    column = pa.array([1], kind)
    assert in_microseconds(column) is column
