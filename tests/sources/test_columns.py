from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.sources.columns import Misfit, batch_of, raw_fields
from penstock.sources.inputs import Inputs
from penstock.sources.schema import Column, InputSchema, schema_of_rows, schema_of_table
from penstock.sources.shard import BATCH, COLUMNS, CSV, LINES, Cursor, Shard
from penstock.sources.table import stream_of


def shard_of(payload: bytes, rows: int, kind: str = LINES, first_row: int = 50) -> Shard:
    return Shard(first_row, rows, kind, payload, "in", 1, 0, Cursor())


def lines(*rows: Any) -> Shard:
    return shard_of(b"".join(json.dumps(row).encode() + b"\n" for row in rows), len(rows))


def schema(**types: str) -> InputSchema:
    return InputSchema(tuple(Column(name, kind) for name, kind in types.items()))


def test_columns_have_their_announced_types() -> None:
    announced = schema(n="null", b="bool", i="int", d="double", t="text", j="json")
    batch = batch_of(
        lines(
            {"b": True, "i": True, "d": 1, "t": 1.5, "j": "x"},
            {"n": None, "i": 7, "d": True, "t": "a", "j": {"k": [1]}},
        ),
        announced,
        announced.names,
    )
    assert batch.to_pylist() == [
        {"n": None, "b": True, "i": 1, "d": 1.0, "t": "1.5", "j": '"x"'},
        {"n": None, "b": None, "i": 7, "d": 1.0, "t": "a", "j": '{"k":[1]}'},
    ]
    assert batch.schema.types == [column.arrow_type for column in announced.columns]


def test_a_row_that_can_not_be_read_has_nulls_and_keeps_its_place() -> None:
    shard = shard_of(b'{"a": 1}\n\nbroken\n{"a": 3}\n', 3)
    assert batch_of(shard, schema(a="int"), ["a"]).to_pylist() == [{"a": 1}, {"a": None}, {"a": 3}]


def test_columns_that_are_not_asked_for_are_left_out() -> None:
    batch = batch_of(lines({"a": 1, "b": 2, "late": 3}), schema(a="int", b="int"), ["b"])
    assert batch.to_pylist() == [{"b": 2}]


def test_no_columns_are_as_many_rows() -> None:
    assert batch_of(lines({"a": 1}, {"a": 2}), schema(a="int"), []).num_rows == 2
    assert batch_of(shard_of(b"x\ny\nz\n", 3, BATCH), InputSchema(), []).num_rows == 3


@pytest.mark.parametrize(
    ("kind", "value", "wider"),
    [
        ("null", "x", "text"),
        ("bool", 3, "int"),
        ("int", 1.5, "double"),
        ("int", 2**70, "text"),
        ("double", 2**60 + 1, "text"),
        ("text", {"a": 1}, "json"),
    ],
)
def test_a_value_that_does_not_fit_names_column_row_and_wider_type(
    kind: str, value: Any, wider: str
) -> None:
    shard = lines({"a": None}, {}, {"a": value}, {"a": value})
    with pytest.raises(Misfit) as raised:
        batch_of(shard, schema(a=kind), ["a"])
    assert (raised.value.column, raised.value.row, raised.value.wider) == ("a", 52, wider)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), values), min_size=1, max_size=8))
def test_a_schema_of_all_rows_or_one_widened_a_few_times_holds_them_all(
    rows: list[dict[str, Any]],
) -> None:
    for announced in (schema_of_rows(rows), schema(a="null", b="null", c="null")):
        for _ in range(20):
            try:
                batch = batch_of(lines(*rows), announced, announced.names)
            except Misfit as misfit:
                announced = announced.widened(misfit.column, misfit.wider)
            else:
                break
        for name in announced.names:
            for row, value in zip(rows, batch.column(name).to_pylist(), strict=True):
                check_value(announced[name].type, row.get(name), value)


def check_value(kind: str, original: Any, found: Any) -> None:
    """That nothing of a value got lost."""
    if original is None:
        assert found is None
    elif kind == "json":
        assert json.loads(found) == original
    elif kind == "text":
        assert found == original if isinstance(original, str) else json.loads(found) == original
    else:
        assert found == original


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return pa.table(
        {
            "id": ["a", "b", "c"],
            "when": pa.array([1, 2, None], pa.timestamp("ns")),
            "n": pa.array([1, 2, 3], pa.int32()),
            "tags": [["x"], [], None],
        }
    )


def columns_of(table: pa.Table) -> Shard:
    return shard_of(stream_of(table.combine_chunks().to_batches()[0]), table.num_rows, COLUMNS)


def test_arrow_columns_keep_their_types_and_values(table: pa.Table) -> None:
    announced = schema_of_table(table.schema)
    batch = batch_of(columns_of(table), announced, ["when", "tags", "id"])
    assert pa.Table.from_batches([batch]) == table.select(["when", "tags", "id"])


def test_arrow_columns_are_cast_to_what_all_files_have_in_common(table: pa.Table) -> None:
    announced = InputSchema(
        (
            *schema_of_table(pa.schema([("n", pa.int64()), ("missing", pa.date32())])).columns,
            Column("id", "text"),
            Column("tags", "json"),
            Column("when", "text"),
        )
    )
    batch = batch_of(columns_of(table), announced, announced.names)
    assert batch.schema.field("n").type == pa.int64()
    assert batch.column("missing").null_count == 3
    assert batch.column("id").to_pylist() == ["a", "b", "c"]
    assert batch.column("tags").to_pylist() == ['["x"]', "[]", None]
    assert batch.column("when").to_pylist()[2] is None


def test_an_arrow_value_that_does_not_fit_is_a_misfit(table: pa.Table) -> None:
    announced = schema_of_table(pa.schema([("id", pa.int64())]))
    with pytest.raises(Misfit) as raised:
        batch_of(columns_of(table), announced, ["id"])
    assert (raised.value.row, raised.value.wider) == (50, "text")
    announced = announced.widened("id", "text")
    assert batch_of(columns_of(table), announced, ["id"]).column("id").to_pylist() == list("abc")


def test_json_rows_go_into_a_column_that_another_file_made_an_arrow_type() -> None:
    announced = schema_of_table(pa.schema([("n", pa.int32())]))
    assert batch_of(lines({"n": 5}, {}), announced, ["n"]).to_pylist() == [{"n": 5}, {"n": None}]
    for value in (1.5, "x", 2**40):
        with pytest.raises(Misfit) as raised:
            batch_of(lines({"n": 1}, {"n": value}), announced, ["n"])
        assert (raised.value.row, raised.value.wider) == (51, "text")


def test_raw_fields_are_the_rows_as_they_stand_in_the_file() -> None:
    shard = shard_of(b'{"a": 1}\r\n\nbroken\n{"a": [3]}', 3)
    assert list(raw_fields(shard)) == [
        (50, {"a": 1}, b'{"a": 1}\r'),
        (51, None, b"broken"),
        (52, {"a": [3]}, b'{"a": [3]}'),
    ]
    assert [row for row, _, _ in raw_fields(shard, {51})] == [51]


def test_raw_fields_of_a_batch_line_are_its_keys() -> None:
    line = b'{"custom_id": "a", "method": "POST", "url": "/x", "body": {"stream": true}}'
    ((_, fields, raw),) = raw_fields(shard_of(line, 1, BATCH))
    assert raw == line
    assert fields is not None
    assert fields["body"] == {"stream": True}


def test_raw_fields_of_csv_are_the_columns() -> None:
    shard = shard_of(b'a,b\n1,"x\ny"\nodd\n', 2, CSV)
    assert list(raw_fields(shard)) == [
        (50, {"a": "1", "b": "x\ny"}, b'1,"x\ny"'),
        (51, None, b"odd"),
    ]


def test_raw_fields_of_columns_are_values(table: pa.Table) -> None:
    found = list(raw_fields(columns_of(table.select(["id", "n"])), {51}))
    assert found == [(51, {"id": "b", "n": 2}, b"")]


def test_the_columns_of_all_shards_are_the_whole_input_in_row_order(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\nbroken\n{"b": "x"}\n')
    pq.write_table(pa.table({"a": [4.5]}), tmp_path / "b.parquet")
    inputs = Inputs.open([str(tmp_path / "a.jsonl"), str(tmp_path / "b.parquet")])
    announced = inputs.schema()
    batches = [batch_of(shard, announced, announced.names) for shard in inputs.shards(rows=2)]
    assert pa.Table.from_batches(batches).to_pylist() == [
        {"a": 1, "b": None},
        {"a": None, "b": None},
        {"a": None, "b": "x"},
        {"a": 4.5, "b": None},
    ]
