"""Which columns the output has, and which names are refused."""

from __future__ import annotations

import pyarrow as pa
import pytest

from penstock.errors import EXIT_USAGE, OutputError
from penstock.ledger.input_rows import without_encoding
from penstock.ledger.output_columns import OutputColumns, output_columns, plain
from penstock.ledger.schema import RESULT_SCHEMA
from penstock.sources.schema import Column, InputSchema


def schema(**columns: str) -> InputSchema:
    return InputSchema(tuple(Column(name, kind) for name, kind in columns.items()))


def refused(inputs: InputSchema, **options: str) -> OutputError:
    with pytest.raises(OutputError) as caught:
        output_columns(inputs, **options)
    assert caught.value.exit_code == EXIT_USAGE
    return caught.value


def test_the_inputs_columns_come_first_then_the_results_in_their_order() -> None:
    columns = output_columns(schema(text="text", n="int"))
    assert columns.schema.names == ["text", "n", *RESULT_SCHEMA.names]
    assert columns.schema.field("n").type == pa.int64()


def test_the_inputs_id_and_the_results_are_one_column() -> None:
    columns = output_columns(schema(id="int", text="text"))
    assert columns.schema.names == ["text", *RESULT_SCHEMA.names]


def test_an_id_of_another_name_stays_beside_the_results() -> None:
    columns = output_columns(schema(ticket="int", text="text"), id_column="ticket")
    assert columns.schema.names[:3] == ["ticket", "text", "row"]


def test_a_column_called_id_that_is_not_the_id_collides() -> None:
    error = refused(schema(id="int", ticket="int"), id_column="ticket")
    assert "id" in error.what


def test_any_other_collision_is_refused_and_a_prefix_offered_that_works() -> None:
    inputs = schema(output="text", model="text", penstock_row="int")
    error = refused(inputs)
    assert "output, model" in error.what
    assert "--prefix _penstock_" in error.next_step
    assert output_columns(inputs, prefix="_penstock_").schema.names[:4] == [
        "output",
        "model",
        "penstock_row",
        "_penstock_row",
    ]


def test_with_a_prefix_the_inputs_id_keeps_its_own_column() -> None:
    assert output_columns(schema(id="int"), prefix="p_").schema.names[:3] == ["id", "p_row", "p_id"]


def test_columns_that_are_not_kept_do_not_collide() -> None:
    inputs = schema(output="text", text="text")
    assert output_columns(inputs, keep="text").kept == ("text",)
    assert output_columns(inputs, keep="none").schema.names == RESULT_SCHEMA.names


def test_kept_columns_stand_in_the_inputs_order() -> None:
    assert output_columns(schema(a="int", b="int", c="int"), keep="c, a").kept == ("a", "c")


def test_a_column_to_keep_that_is_not_there_is_named() -> None:
    assert "'nope'" in refused(schema(a="int"), keep="a,nope").what


def test_what_an_earlier_run_wrote_into_dead_letters_is_not_kept() -> None:
    assert output_columns(schema(a="int", _penstock="json")).kept == ("a",)


def test_json_columns_are_text_and_known_as_json() -> None:
    columns = output_columns(schema(a="json", b="text"))
    assert columns.kept_schema == pa.schema([("a", pa.string()), ("b", pa.string())])
    assert columns.json_columns == {"a", "tool_calls"}


def test_a_column_can_become_wider() -> None:
    columns = output_columns(schema(a="int", b="int")).widened("a", "double")
    assert columns.kept_schema == pa.schema([("a", pa.float64()), ("b", pa.int64())])


def test_the_announcement_names_each_kept_column_with_its_type() -> None:
    assert "a (int), b (json)" in output_columns(schema(a="int", b="json")).announcement()
    assert "no columns" in output_columns(schema(a="int"), keep="none").announcement()


def test_the_types_for_the_manifest_are_those_of_the_schema() -> None:
    columns = output_columns(schema(a="int"), prefix="p_")
    assert columns.types[:2] == [("a", "int64"), ("p_row", "int64")]


@pytest.mark.parametrize(
    "kind",
    [
        pa.dictionary(pa.int8(), pa.string()),
        pa.string_view(),
        pa.list_(pa.dictionary(pa.int8(), pa.string())),
        pa.struct([("a", pa.dictionary(pa.int8(), pa.string()))]),
    ],
    ids=str,
)
def test_encodings_are_taken_off_however_deep(kind: pa.DataType) -> None:
    assert "dictionary" not in str(plain(kind))
    assert "view" not in str(plain(kind))
    column = pa.array([None], kind)
    assert without_encoding(column, plain(kind)).type == plain(kind)
    assert without_encoding(column, plain(kind)).to_pylist() == [None]


def test_columns_survive_a_change_of_nothing() -> None:
    assert OutputColumns(schema(a="int"), ("a",)).schema == output_columns(schema(a="int")).schema
