"""The output as JSON lines."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from penstock.ledger import jsonl_output
from penstock.ledger.jsonl_output import JsonlOutput


def lines_of(batch: pa.RecordBatch, json_columns: frozenset[str] = frozenset()) -> list[Any]:
    sink = io.BytesIO()
    output = JsonlOutput(sink, json_columns)
    output.write(batch)
    output.close()
    return [json.loads(line) for line in sink.getvalue().splitlines()]


@given(st.lists(st.fixed_dictionaries({"a": st.none() | st.integers(-99, 99), "b": st.text()})))
def test_every_row_is_a_line_with_every_column_in_order(rows: list[dict[str, Any]]) -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    batch = pa.RecordBatch.from_pylist(rows, schema)
    assert lines_of(batch) == rows
    assert all(list(line) == ["a", "b"] for line in lines_of(batch))


def test_json_text_stands_as_json_only_in_the_columns_named() -> None:
    text = '{"a": [1, null]}'
    batch = pa.record_batch({"json": [text, None], "text": [text, None]})
    assert lines_of(batch, frozenset({"json"})) == [
        {"json": {"a": [1, None]}, "text": text},
        {"json": None, "text": None},
    ]


def test_json_text_of_several_lines_is_one_line() -> None:
    batch = pa.record_batch({"calls": ['[\r\n  {"id": "a\\n"}\n]', "[]"]})
    assert lines_of(batch, frozenset({"calls"})) == [{"calls": [{"id": "a\n"}]}, {"calls": []}]


def test_rows_beyond_one_step_of_the_writer_are_all_there() -> None:
    rows = 2 * jsonl_output.ROWS_AT_ONCE + 1
    assert [line["row"] for line in lines_of(pa.record_batch({"row": range(rows)}))] == list(
        range(rows)
    )
