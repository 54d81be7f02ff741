"""The output as CSV."""

from __future__ import annotations

import csv
import io

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.ledger.csv_output import CsvOutput


def rows_of(batch: pa.RecordBatch) -> list[list[str]]:
    sink = io.BytesIO()
    output = CsvOutput(sink, batch.schema)
    output.write(batch)
    output.close()
    return list(csv.reader(io.StringIO(sink.getvalue().decode(), newline="")))


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_a_text_cell_that_a_spreadsheet_would_run_gets_an_apostrophe(first: str) -> None:
    assert rows_of(pa.record_batch({"a": [first + "1+1"]}))[1] == ["'" + first + "1+1"]


def test_numbers_are_not_text_and_stay_negative() -> None:
    batch = pa.record_batch({"i": [-1], "f": [-0.5], "s": ["-1"], "b": [True]})
    assert rows_of(batch)[1] == ["-1", "-0.5", "'-1", "true"]


def test_a_column_name_is_a_text_cell_too() -> None:
    assert rows_of(pa.record_batch({"=cmd": [1], "plain": [2]}))[0] == ["'=cmd", "plain"]


def test_lists_are_json_and_null_is_an_empty_cell() -> None:
    batch = pa.record_batch({"l": [["a"], None], "n": pa.nulls(2), "s": ["x", None]})
    assert rows_of(batch)[1:] == [['["a"]', "", "x"], ["", "", ""]]


SAFE = st.text(st.characters(codec="utf-8", exclude_characters="\0")).filter(
    lambda text: text[:1] not in tuple("=+-@\t\r")
)


@given(st.lists(st.tuples(SAFE, SAFE)))
def test_any_other_text_reads_back_as_it_was(rows: list[tuple[str, str]]) -> None:
    first, second = ([row[place] for row in rows] for place in (0, 1))
    schema = pa.schema([("a", pa.string()), ("b", pa.string())])
    batch = pa.RecordBatch.from_arrays(
        [pa.array(first, pa.string()), pa.array(second, pa.string())], schema=schema
    )
    assert rows_of(batch)[1:] == [list(row) for row in rows]
