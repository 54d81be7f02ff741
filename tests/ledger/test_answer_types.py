"""Arrow types of what a schema describes."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from penstock.ledger.answer_types import array_of, properties_of, shape_of

TEXT, INT = {"type": "string"}, {"type": "integer"}
NULL = {"type": "null"}


def kind(schema: Any) -> pa.DataType:
    return shape_of(schema, schema).type


@pytest.mark.parametrize(
    ("schema", "type_"),
    [
        (TEXT, pa.string()),
        (INT, pa.int64()),
        ({"type": "number"}, pa.float64()),
        ({"type": "boolean"}, pa.bool_()),
        ({"type": ["integer", "null"]}, pa.int64()),
        ({"type": ["integer", "number"]}, pa.float64()),
        ({"type": ["integer", "string"]}, pa.string()),
        ({"enum": ["a", "b", None]}, pa.string()),
        ({"enum": [1, 2]}, pa.int64()),
        ({"const": True}, pa.bool_()),
        ({"anyOf": [INT, NULL]}, pa.int64()),
        ({"anyOf": [INT, TEXT]}, pa.string()),
        ({"allOf": [INT]}, pa.int64()),
        ({"type": "array", "items": INT}, pa.list_(pa.int64())),
        ({"type": "array"}, pa.string()),
        ({"type": "array", "prefixItems": [INT], "items": INT}, pa.string()),
        ({"type": "object"}, pa.string()),
        ({"type": "object", "properties": {}}, pa.string()),
        ({"properties": {"a": INT}}, pa.struct([("a", pa.int64())])),
        ({"type": "null"}, pa.string()),
        ({}, pa.string()),
        (True, pa.string()),
        ({"$ref": "#/$defs/none"}, pa.string()),
        ({"$ref": "#/$defs/n", "$defs": {"n": INT}}, pa.int64()),
    ],
)
def test_every_schema_has_a_type(schema: Any, type_: pa.DataType) -> None:
    assert kind(schema) == type_


def test_a_type_that_holds_itself_is_json_text_where_it_does() -> None:
    pair = {"type": "object", "properties": {"n": INT, "next": {"$ref": "#/$defs/Pair"}}}
    schema = {**pair, "$defs": {"Pair": pair}}
    inner = pa.struct([("n", pa.int64()), ("next", pa.string())])
    assert kind(schema) == pa.struct([("n", pa.int64()), ("next", inner)])
    deep: Any = INT
    for _ in range(100):
        deep = {"type": "array", "items": deep}
    assert pa.array([None], kind(deep)).null_count == 1


@pytest.mark.parametrize(
    ("schema", "value", "held"),
    [
        (INT, 5.0, 5),
        (INT, 1 << 63, None),
        (INT, True, None),
        ({"type": "number"}, 5, 5.0),
        ({"type": "number"}, 10**400, None),
        ({"type": "number"}, "5", None),
        ({"type": "boolean"}, 1, None),
        (TEXT, "a\ud800", "a?"),
        (TEXT, 5, None),
        ({}, {"a": [1]}, '{"a":[1]}'),
        ({"type": "array", "items": INT}, [1, None], [1, None]),
        ({"type": "array", "items": INT}, 5, None),
        ({"properties": {"a": INT, "b": TEXT}}, {"a": 1, "c": 2}, {"a": 1, "b": None}),
        ({"properties": {"a": INT}}, [], None),
    ],
)
def test_a_value_fits_its_type_or_is_null(schema: Any, value: Any, held: Any) -> None:
    assert array_of(shape_of(schema, schema), [value, None]).to_pylist() == [held, None]


def test_the_properties_of_a_root_behind_a_reference_are_found() -> None:
    schema = {"$ref": "#/$defs/T", "$defs": {"T": {"properties": {"a": INT}}}}
    assert {name: shape.type for name, shape in properties_of(schema).items()} == {"a": pa.int64()}
    assert properties_of({"$ref": "#"}) == properties_of({"type": "array"}) == {}
