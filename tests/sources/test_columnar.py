from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from penstock.sources.columnar import records
from penstock.sources.table import stream_of

NAIVE = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456)


def batch(**columns: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


@pytest.mark.parametrize(
    ("array", "value"),
    [
        (pa.array(["é"]), "é"),
        (pa.array([7], pa.uint8()), 7),
        (pa.array([None], pa.int64()), None),
        (pa.array([[1, None]]), [1, None]),
        (pa.array([{"a": [1]}]), {"a": [1]}),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), {"k": 1}),
        (pa.array([Decimal("1.50")]), Decimal("1.50")),
        (pa.array([NAIVE], pa.timestamp("us")), NAIVE),
        (pa.array([1_000_000_001], pa.timestamp("ns")), datetime.datetime(1970, 1, 1, 0, 0, 1)),
        (pa.array([[1_001]], pa.list_(pa.duration("ns"))), [datetime.timedelta(microseconds=1)]),
        (pa.array([1_001], pa.duration("ns")), datetime.timedelta(microseconds=1)),
        (pa.array([1_001], pa.time64("ns")), datetime.time(microsecond=1)),
        (pa.array([NAIVE.date()]), NAIVE.date()),
        (pa.array([b"\xff"]), b"\xff"),
    ],
)
def test_values_are_those_of_python(array: pa.Array, value: Any) -> None:
    (record,) = records(stream_of(batch(a=array)), 0, "f.parquet", 0, None, None)
    assert record.problem is None
    assert record.fields == {"a": value}


def test_records_say_their_row_in_the_run_and_in_the_file() -> None:
    payload = stream_of(batch(id=pa.array(["x", "y", "z"]), n=pa.array([1, 2, 3])))
    found = list(records(payload, 100, "f.arrow", 40, None, None))
    assert [(record.row, record.where, record.id) for record in found] == [
        (100, "f.arrow row 40", "x"),
        (101, "f.arrow row 41", "y"),
        (102, "f.arrow row 42", "z"),
    ]
    assert [record.row for record in records(payload, 100, "f", 40, None, {101})] == [101]


@pytest.mark.parametrize(
    "bad",
    [
        pa.array([0, 1 << 62, 1], pa.timestamp("s")),
        pa.StringArray.from_buffers(
            3, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"a\xffb")
        ),
    ],
)
def test_a_value_that_python_can_not_hold_spoils_its_own_row_only(bad: pa.Array) -> None:
    good, broken, last = records(
        stream_of(batch(n=pa.array([1, 2, 3]), bad=bad)), 0, "f", 0, None, None
    )
    assert good.problem is None
    assert last.problem is None
    assert broken.problem is not None
    assert broken.problem.startswith("column 'bad' can't be read: ")
    assert broken.fields is None


def test_a_decimal_of_more_digits_than_its_type_has_spoils_its_row() -> None:
    digits = pa.py_buffer((12345).to_bytes(16, "little"))
    bad = pa.Array.from_buffers(pa.decimal128(2, 40), 1, [None, digits])
    (broken,) = records(stream_of(batch(n=pa.array([1]), bad=bad)), 0, "f", 0, None, None)
    assert broken.problem is not None
    assert broken.problem.startswith("column 'bad' can't be read: ")


def test_rows_without_columns_are_rows() -> None:
    empty = pa.RecordBatch.from_struct_array(pa.array([{}, {}], pa.struct([])))
    assert [record.fields for record in records(stream_of(empty), 0, "f", 0, None, None)] == [
        {},
        {},
    ]
