"""Arrow types for what a JSON Schema describes, and values that fit them.

An object with named properties is a struct, a list of one kind of items a list; a property that may
be null or missing is null. What has no one type, such as an object of any keys, a choice between
types or a type that holds itself, is JSON text. A value that its type can't hold, such as a whole
number of more than 64 bits, is null: the answer itself stands in `output` as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa

from penstock.answer_schema import referred

INT64_END: Final = 1 << 63
DEEPEST: Final = 32  # beyond it all is JSON text: Arrow's readers don't go down for ever


class Shape(NamedTuple):
    """A type, and what makes a value of JSON one of its own."""

    type: pa.DataType
    fit: Callable[[Any], Any]


def as_json(value: Any) -> Any:
    """Any value as JSON text."""
    return None if value is None else msgspec.json.encode(value).decode()


def as_text(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def as_int(value: Any) -> Any:
    """A whole number of 64 bits; JSON Schema takes 5.0 for one too."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return value if is_int and -INT64_END <= value < INT64_END else None


def as_double(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def as_bool(value: Any) -> Any:
    return value if isinstance(value, bool) else None


JSON_TEXT: Final = Shape(pa.string(), as_json)
SCALARS: Final = {
    "string": Shape(pa.string(), as_text),
    "integer": Shape(pa.int64(), as_int),
    "number": Shape(pa.float64(), as_double),
    "boolean": Shape(pa.bool_(), as_bool),
}


def shape_of(schema: Any, root: Any, within: tuple[str, ...] = (), depth: int = 0) -> Shape:
    """The type of what `schema`, a part of `root`, describes; `within` are references above it."""
    if not isinstance(schema, dict) or depth > DEEPEST:
        return JSON_TEXT
    reference = schema.get("$ref")
    if isinstance(reference, str):
        if reference in within:
            return JSON_TEXT
        return shape_of(referred(root, reference), root, (*within, reference), depth + 1)
    choice = only_choice(schema)
    if choice is not None:
        return shape_of(choice, root, within, depth + 1)
    kinds = kinds_of(schema)
    if kinds == {"integer", "number"}:
        return SCALARS["number"]
    if len(kinds) != 1:
        return JSON_TEXT
    kind = kinds.pop()
    if kind == "object":
        return struct_of(schema, root, within, depth)
    if kind == "array":
        return list_of(schema, root, within, depth)
    return SCALARS.get(kind, JSON_TEXT)


def only_choice(schema: dict[str, Any]) -> Any:
    """What an `anyOf`, `oneOf` or `allOf` comes to, but for null; None where that is several."""
    for name in ("anyOf", "oneOf", "allOf"):
        choices = schema.get(name)
        if isinstance(choices, list):
            some = [one for one in choices if one != {"type": "null"}]
            return some[0] if len(some) == 1 and "properties" not in schema else None
    return None


def kinds_of(schema: dict[str, Any]) -> set[str]:
    """The types that a schema allows, but for null; of an `enum` those of its values."""
    if any(name in schema for name in ("anyOf", "oneOf", "allOf")):
        return set()
    named = schema.get("type")
    if isinstance(named, str):
        return {named} - {"null"}
    if isinstance(named, list):
        return {str(one) for one in named} - {"null"}
    values = schema["enum"] if isinstance(schema.get("enum"), list) else None
    if values is None and "const" in schema:
        values = [schema["const"]]
    if values is not None:
        return {kind_of_value(one) for one in values} - {"null"}
    return {"object"} if "properties" in schema else set()


def kind_of_value(value: Any) -> str:
    """The JSON type of a value."""
    names: dict[type, str] = {
        bool: "boolean",
        int: "integer",
        float: "number",
        str: "string",
        type(None): "null",
    }
    return names.get(type(value), "any")


def struct_of(schema: dict[str, Any], root: Any, within: tuple[str, ...], depth: int) -> Shape:
    """An object's struct; one without named properties is JSON text, and no format has it empty."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        return JSON_TEXT
    shapes = {name: shape_of(one, root, within, depth + 1) for name, one in properties.items()}

    def fit(value: Any) -> Any:
        if not isinstance(value, dict):
            return None
        return {name: shape.fit(value.get(name)) for name, shape in shapes.items()}

    return Shape(pa.struct([(name, shape.type) for name, shape in shapes.items()]), fit)


def list_of(schema: dict[str, Any], root: Any, within: tuple[str, ...], depth: int) -> Shape:
    """A list; one whose items differ by their place is JSON text."""
    if "prefixItems" in schema or not isinstance(schema.get("items"), dict):
        return JSON_TEXT
    shape = shape_of(schema["items"], root, within, depth + 1)

    def fit(value: Any) -> Any:
        return [shape.fit(one) for one in value] if isinstance(value, list) else None

    return Shape(pa.list_(shape.type), fit)


def properties_of(schema: dict[str, Any]) -> dict[str, Shape]:
    """The shapes of the properties of a schema whose root is an object; else none."""
    seen: set[str] = set()
    found: Any = schema
    while isinstance(found, dict) and isinstance(found.get("$ref"), str):
        if found["$ref"] in seen:
            return {}
        seen.add(found["$ref"])
        found = referred(schema, found["$ref"])
    properties = found.get("properties") if isinstance(found, dict) else None
    if not isinstance(properties, dict):
        return {}
    return {name: shape_of(one, schema) for name, one in properties.items()}


def array_of(shape: Shape, values: Sequence[Any]) -> pa.Array:
    """Values of JSON as a column."""
    return pa.array([None if one is None else shape.fit(one) for one in values], shape.type)
