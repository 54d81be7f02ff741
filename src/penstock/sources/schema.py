"""The input's columns and their types, from a bounded first pass.

Types are ordered null < bool < int < double < text < json, and a column has the least that holds
all its values; "json" is JSON text of every value, whatever it is. An integer that a signed 64-bit
integer, or in a column of doubles a double, can't hold exactly makes the column text. Columns of
Parquet and Arrow input keep their Arrow types while all files agree.

CSV columns are text. A batch line has no columns but its id.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
import pyarrow as pa

from penstock.errors import InputError
from penstock.sources.decoded import ID_COLUMNS

NULL: Final = "null"
BOOL: Final = "bool"
INT: Final = "int"
DOUBLE: Final = "double"
TEXT: Final = "text"
JSON: Final = "json"

ORDER: Final = (NULL, BOOL, INT, DOUBLE, TEXT, JSON)

_ARROW: Final = {
    NULL: pa.null(),
    BOOL: pa.bool_(),
    INT: pa.int64(),
    DOUBLE: pa.float64(),
    TEXT: pa.string(),
    JSON: pa.string(),
}

_EXACT_IN_DOUBLE: Final = 1 << 53
_INT_END: Final = 1 << 63


class Column(msgspec.Struct, frozen=True):
    """One input column."""

    name: str
    type: str  # one of ORDER; else an Arrow type, as it prints
    arrow: bytes = b""  # that Arrow type: the serialised schema of one field

    @property
    def arrow_type(self) -> pa.DataType:
        """The column's type in the output."""
        if self.arrow:
            return pa.ipc.read_schema(pa.py_buffer(self.arrow)).field(0).type
        return _ARROW[self.type]

    @property
    def takes(self) -> str:
        """The type, one of ORDER, of the JSON values that it can hold exactly."""
        if not self.arrow:
            return self.type
        return next((kind for kind in ORDER if _ARROW[kind] == _widest(self.arrow_type)), NULL)


class InputSchema(msgspec.Struct, frozen=True):
    """The input's columns, in the order in which they first appear."""

    columns: tuple[Column, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    def __getitem__(self, name: str) -> Column:
        """The column of that name. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def id_column(self, wanted: str | None) -> str | None:
        """The column that names a record: `wanted`, else `id` or `custom_id`, else none.

        Raises InputError where `wanted` is no column.
        """
        if wanted is not None and wanted not in self.names:
            raise InputError(
                f"--id {wanted}: the input has no such column",
                f"Its columns: {', '.join(self.names) or 'none'}.",
            )
        return wanted or next((name for name in ID_COLUMNS if name in self.names), None)

    def widened(self, name: str, wider: str) -> InputSchema:
        """This schema with one column of a wider type."""
        return InputSchema(
            tuple(Column(name, wider) if column.name == name else column for column in self.columns)
        )


def _widest(kind: pa.DataType) -> pa.DataType:
    """The widest type of a kind, where values of the narrower are never rounded."""
    if pa.types.is_integer(kind):
        return pa.int64()
    return pa.string() if pa.types.is_large_string(kind) else kind


def type_of(value: Any) -> str:
    """The least type that holds a JSON value."""
    kind = type(value)
    if kind is int:
        return INT if -_INT_END <= value < _INT_END else TEXT
    return {type(None): NULL, bool: BOOL, float: DOUBLE, str: TEXT}.get(kind, JSON)


def wider(one: str, other: str) -> str:
    """The least type that holds the values of both."""
    return max(one, other, key=ORDER.index)


def misfit(column: Column, value: Any) -> str | None:
    """The wider type that a value needs; None if it fits its column."""
    found, held = type_of(value), column.takes
    if held == DOUBLE and found == INT and abs(value) > _EXACT_IN_DOUBLE:
        found = TEXT
    least = wider(held, found)
    if least == held:
        return None
    if column.arrow:
        return JSON if found == JSON or pa.types.is_nested(column.arrow_type) else TEXT
    return least


def arrow_column(name: str, kind: pa.DataType) -> Column:
    """A column of an Arrow type."""
    return Column(name, str(kind), pa.schema([pa.field(name, kind)]).serialize().to_pybytes())


def merged(one: Column, other: Column) -> Column:
    """The least column that holds the values of both."""
    if one == other:
        return one
    if not one.arrow and not other.arrow:
        return Column(one.name, wider(one.type, other.type))
    if NULL in (one.type, other.type):
        return other if one.type == NULL else one
    fields = [pa.field(one.name, column.arrow_type) for column in (one, other)]
    try:
        unified = pa.unify_schemas(map(pa.schema, zip(fields)), promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        nested = any(pa.types.is_nested(field.type) for field in fields)
        return Column(one.name, JSON if nested or JSON in (one.type, other.type) else TEXT)
    return arrow_column(one.name, unified.field(0).type)


def schema_of(parts: Iterable[InputSchema]) -> InputSchema:
    """The union of what several files hold."""
    columns: dict[str, Column] = {}
    for part in parts:
        for column in part.columns:
            known = columns.get(column.name)
            columns[column.name] = merged(known, column) if known else column
    return InputSchema(tuple(columns.values()))


def schema_of_table(schema: pa.Schema) -> InputSchema:
    """The columns of a columnar file."""
    return InputSchema(tuple(arrow_column(field.name, field.type) for field in schema))


def schema_of_text(names: Iterable[str]) -> InputSchema:
    """The columns of a CSV file."""
    return InputSchema(tuple(Column(name, TEXT) for name in names))


def schema_of_rows(rows: Iterable[dict[str, Any]]) -> InputSchema:
    """The columns of decoded rows."""
    types: dict[str, str] = {}
    last: dict[str, type] = {}  # what is of the type that the row before had needs no further look
    for fields in rows:
        for name, value in fields.items():
            kind = type(value)
            if kind is not int and kind is last.get(name):  # of integers the size matters
                continue
            last[name] = kind
            known = types.get(name)
            found = type_of(value)
            if known != found:
                types[name] = wider(known, found) if known else found
    return InputSchema(tuple(Column(name, kind) for name, kind in types.items()))
