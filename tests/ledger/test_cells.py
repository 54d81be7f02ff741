"""Cells of every Arrow type have a spelling, so that no export fails for a type."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from penstock.ledger.cells import json_values, texts

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)

CASES: list[tuple[str, Any, Any]] = [
    ("text", pa.array(['a "b"']), 'a "b"'),
    ("text in a dictionary", pa.array(['a "b"']).dictionary_encode(), 'a "b"'),
    ("time in UTC", pa.array([NOON], pa.timestamp("us", "UTC")), "2026-03-01T12:00:00.000000Z"),
    ("time without a zone", pa.array([0], pa.timestamp("s")), "1970-01-01T00:00:00"),
    (
        "time in nanoseconds",
        pa.array([1], pa.timestamp("ns", "UTC")),
        "1970-01-01T00:00:00.000000001Z",
    ),
    (
        "time elsewhere",
        pa.array([1], pa.timestamp("ns", "Europe/Paris")),
        "1970-01-01T01:00:00+01:00",
    ),
    ("date", pa.array([NOON.date()]), "2026-03-01"),
    ("time of day", pa.array([1_000_000_001], pa.time64("ns")), "00:00:01"),
    ("duration", pa.array([1_000_000_001], pa.duration("ns")), "PT1S"),
    ("decimal", pa.array([decimal.Decimal("1.20")]), "1.20"),
    ("bytes", pa.array([b"\xff\x00"]), "/wA="),
    (
        "identifier",
        pa.array([uuid.UUID(int=1).bytes], pa.uuid()),
        "00000000-0000-0000-0000-000000000001",
    ),
]


@pytest.mark.parametrize(
    ("column", "spelled"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_cell_is_spelled_alike_as_text_and_in_json(column: pa.Array, spelled: str) -> None:
    assert texts(column).to_pylist() == [spelled]
    assert json.loads(msgspec.json.encode(json_values(column))) == [spelled]


@pytest.mark.parametrize("kind", [pa.int8(), pa.float16(), pa.float64()], ids=str)
def test_numbers_stay_numbers_in_json(kind: pa.DataType) -> None:
    assert json.loads(msgspec.json.encode(json_values(pa.array([1, None], kind)))) == [1, None]


def test_lists_and_structs_are_json_however_deep_their_nanoseconds_are() -> None:
    kind = pa.list_(pa.struct([("at", pa.timestamp("ns")), ("tags", pa.list_(pa.string()))]))
    column = pa.array([[{"at": 1_500, "tags": ["x", None]}], None], kind)
    wanted = [{"at": "1970-01-01T00:00:00.000001", "tags": ["x", None]}]
    assert json.loads(msgspec.json.encode(json_values(column))) == [wanted, None]
    text, null = texts(column).to_pylist()
    assert (json.loads(text), null) == (wanted, None)


def test_what_json_has_no_number_for_is_null() -> None:
    column = pa.array([float("nan"), float("inf")])
    assert json.loads(msgspec.json.encode(json_values(column))) == [None, None]


def test_a_year_that_python_lacks_is_told_in_arrows_words() -> None:
    dates = pa.array([0, 3_000_000], pa.date32())
    assert texts(dates).to_pylist() == ["1970-01-01", "10183-09-21"]
    nested = pa.array([[0], [3_000_000]], pa.list_(pa.date32()))
    assert texts(nested).to_pylist() == ['["1970-01-01"]', None]
