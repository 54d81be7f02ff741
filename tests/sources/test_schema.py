from __future__ import annotations

import datetime
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from penstock.errors import InputError
from penstock.sources.schema import (
    Column,
    InputSchema,
    misfit,
    schema_of,
    schema_of_rows,
    schema_of_table,
    schema_of_text,
)


def types(*rows: dict[str, Any]) -> dict[str, str]:
    return {column.name: column.type for column in schema_of_rows(rows).columns}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([None], "null"),
        ([None, True], "bool"),
        ([True, 1], "int"),
        ([1, 2.5, None], "double"),
        ([1, "a"], "text"),
        ([2**63], "text"),
        ([-(2**63)], "int"),
        (["a", ["b"]], "json"),
        ([{}, 1], "json"),
    ],
)
def test_a_column_has_the_least_type_that_holds_its_values(
    values: list[Any], expected: str
) -> None:
    assert types(*({"a": value} for value in values)) == {"a": expected}
    assert types(*({"a": value} for value in reversed(values))) == {"a": expected}


def test_columns_are_in_the_order_of_their_first_appearance() -> None:
    schema = schema_of_rows([{"b": 1}, {"a": 1, "b": 2}, {"c": 1}])
    assert schema.names == ("b", "a", "c")


def test_files_columns_are_united() -> None:
    schema = schema_of([schema_of_rows([{"a": 1}]), schema_of_text(["b", "a"]), InputSchema()])
    assert [(column.name, column.type) for column in schema.columns] == [
        ("a", "text"),
        ("b", "text"),
    ]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.int32(), pa.float64(), pa.float64()),
        (pa.timestamp("us"), pa.timestamp("us"), pa.timestamp("us")),
        (pa.string(), pa.large_string(), pa.large_string()),
        (pa.date32(), pa.string(), pa.string()),
        (pa.list_(pa.int64()), pa.string(), pa.string()),
    ],
)
def test_arrow_types_are_kept_while_they_agree(
    one: pa.DataType, other: pa.DataType, expected: pa.DataType
) -> None:
    parts = [schema_of_table(pa.schema([("a", kind)])) for kind in (one, other)]
    assert schema_of(parts)["a"].arrow_type == expected


def test_a_column_of_lists_in_one_file_and_of_text_in_another_is_json() -> None:
    parts = [schema_of_table(pa.schema([("a", pa.list_(pa.int8()))])), schema_of_text(["a"])]
    assert schema_of(parts)["a"].type == "json"
    assert schema_of(reversed(parts))["a"].type == "json"


def test_a_column_that_is_null_in_one_file_has_the_type_of_the_other() -> None:
    parts = [schema_of_rows([{"a": None}]), schema_of_table(pa.schema([("a", pa.date32())]))]
    assert schema_of(parts)["a"].arrow_type == pa.date32()
    assert schema_of(reversed(parts))["a"].arrow_type == pa.date32()


def test_a_schema_survives_being_written_down() -> None:
    kinds = [
        pa.timestamp("ns", "UTC"),
        pa.decimal128(9, 2),
        pa.struct([("x", pa.list_(pa.int8()))]),
    ]
    schema = schema_of(
        [
            schema_of_table(pa.schema([(str(kind), kind) for kind in kinds])),
            schema_of_rows([{"text": "a", "none": None}]),
        ]
    )
    again = msgspec.json.decode(msgspec.json.encode(schema), type=InputSchema)
    assert again == schema
    assert [again[str(kind)].arrow_type for kind in kinds] == kinds
    assert again["text"].arrow_type == pa.string()


def test_the_id_is_the_wanted_column_or_the_usual_ones() -> None:
    schema = schema_of_text(["custom_id", "name", "id"])
    assert schema.id_column("name") == "name"
    assert schema.id_column(None) == "id"
    assert schema_of_text(["custom_id"]).id_column(None) == "custom_id"
    assert schema_of_text(["name"]).id_column(None) is None
    with pytest.raises(InputError, match="--id nome: the input has no such column"):
        schema.id_column("nome")


@pytest.mark.parametrize(
    ("kind", "value", "wider"),
    [
        ("null", 1, "int"),
        ("bool", 1, "int"),
        ("int", True, None),
        ("int", 2**63, "text"),
        ("int", 1.5, "double"),
        ("double", 2**53, None),
        ("double", 2**53 + 1, "text"),
        ("double", "x", "text"),
        ("text", 5, None),
        ("text", [5], "json"),
        ("json", [5], None),
    ],
)
def test_a_value_that_does_not_fit_says_which_type_would_do(
    kind: str, value: Any, wider: str | None
) -> None:
    assert misfit(Column("a", kind), value) == wider


def test_what_does_not_fit_an_arrow_type_is_text_or_json() -> None:
    column = schema_of_table(pa.schema([("a", pa.date32())]))["a"]
    assert misfit(column, "x") == "text"
    assert misfit(column, [datetime.date(2024, 1, 1)]) == "json"


def test_a_widened_schema_differs_in_one_column() -> None:
    schema = schema_of_rows([{"a": 1, "b": 1}]).widened("a", "text")
    assert [(column.name, column.type) for column in schema.columns] == [
        ("a", "text"),
        ("b", "int"),
    ]


def test_an_unknown_column_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        schema_of_rows([{"a": 1}])["b"]
