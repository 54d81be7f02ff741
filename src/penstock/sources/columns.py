"""The input's columns of a shard as Arrow, for the output; and its rows as they stand in the input,
for the dead letters' file.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from penstock.sources import csv, jsonl
from penstock.sources.columnar import rows_of
from penstock.sources.record import records_of
from penstock.sources.schema import (
    BOOL,
    DOUBLE,
    INT,
    JSON,
    NULL,
    TEXT,
    Column,
    InputSchema,
    misfit,
)
from penstock.sources.shard import COLUMNS, LINES, Shard
from penstock.sources.table import batch_of_stream

_NONE = type(None)

# Values of these types fit as they are; others are looked at one by one.
_FITTING: dict[str, frozenset[type]] = {
    NULL: frozenset({_NONE}),
    BOOL: frozenset({_NONE, bool}),
    INT: frozenset({_NONE, int}),
    DOUBLE: frozenset({_NONE, float}),
    TEXT: frozenset({_NONE, str}),
    JSON: frozenset({_NONE}),
}

# What pyarrow raises where a value does not go into a type.
_REFUSALS = (pa.ArrowException, OverflowError, TypeError, ValueError)

_encode = msgspec.json.Encoder().encode


class Misfit(Exception):
    """Raised when a value does not fit its column's announced type; it would fit `wider`."""

    def __init__(self, column: str, row: int, wider: str) -> None:
        super().__init__(f"row {row}: column {column!r} needs the type {wider}")
        self.column = column
        self.row = row
        self.wider = wider


def batch_of(shard: Shard, schema: InputSchema, columns: Sequence[str]) -> pa.RecordBatch:
    """A shard's input columns, by their types in `schema`: as many rows as the shard has.

    A row that can't be read, or lacks a column, has nulls; columns that `columns` does not name are
    left out. Raises Misfit for the first value that does not fit, KeyError for a name that `schema`
    has not.
    """
    chosen = [schema[name] for name in columns]
    if not chosen:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * shard.rows, pa.struct([])))
    if shard.kind == COLUMNS:
        table = batch_of_stream(shard.payload)
        arrays = [_of_table(column, table, shard.first_row) for column in chosen]
    else:
        rows = list(_rows_of(shard))
        arrays = [
            _of_values(column, [row.get(column.name) for row in rows], shard.first_row)
            for column in chosen
        ]
    return pa.RecordBatch.from_arrays(arrays, [column.name for column in chosen])


def _rows_of(shard: Shard) -> Iterator[dict[str, Any]]:
    """The columns of a shard's rows, none for one that can't be read."""
    if shard.kind == LINES:
        return jsonl.columns_of(shard.payload)
    return (record.fields or {} for record in records_of(shard))


def _of_values(column: Column, values: list[Any], first_row: int) -> pa.Array:
    """Values in Python under a column's type."""
    if not set(map(type, values)) <= _FITTING[column.takes]:
        values = [_fitted(column, value, row) for row, value in enumerate(values, first_row)]
    try:
        return pa.array(values, column.arrow_type)
    except _REFUSALS:
        # One by one, to find the row.
        for row, value in enumerate(values, first_row):
            try:
                pa.array([value], column.arrow_type)
            except _REFUSALS:
                raise Misfit(column.name, row, misfit(column, value) or TEXT) from None
        raise


def _fitted(column: Column, value: Any, row: int) -> Any:
    """A value as its column holds it. Raises Misfit."""
    if value is None:
        return None
    wider = misfit(column, value)
    if wider is not None:
        raise Misfit(column.name, row, wider)
    held = column.takes
    if held == JSON or (held == TEXT and type(value) is not str):
        return _encode(value).decode()
    return float(value) if held == DOUBLE else int(value) if held == INT else value


def _of_table(column: Column, table: pa.RecordBatch, first_row: int) -> pa.Array:
    """A column of a shard of columns under a column's type."""
    if column.name not in table.schema.names:
        return pa.nulls(table.num_rows, column.arrow_type)
    if column.arrow:
        try:
            cast = table.column(column.name).cast(column.arrow_type)
            cast.validate(full=True)  # or text that isn't UTF-8 would fail in a writer
            return cast
        except _REFUSALS:
            pass  # the values, one by one, say which row it is
    rows = [row if type(row) is dict else {} for row in rows_of(table.select([column.name]))]
    values = msgspec.to_builtins([row.get(column.name) for row in rows])
    return _of_values(column, values, first_row)


def raw_fields(
    shard: Shard, wanted: Container[int] | None = None
) -> Iterator[tuple[int, dict[str, Any] | None, bytes]]:
    """A shard's rows, or those in `wanted`, as they stand in the input.

    Each is its row number, its columns (for a batch line, its keys; None where it can't be read)
    and its bytes as they are in the file (none for Parquet and Arrow).
    """
    for row, (fields, raw) in enumerate(_raw_rows(shard, wanted), shard.first_row):
        if wanted is None or row in wanted:
            yield row, fields if type(fields) is dict else None, raw


def _raw_rows(
    shard: Shard, wanted: Container[int] | None
) -> Iterator[tuple[dict[str, Any] | str, bytes]]:
    if shard.kind == COLUMNS:
        for fields in rows_of(batch_of_stream(shard.payload)):
            yield fields, b""
    elif (grammar := csv.GRAMMARS.get(shard.kind)) is not None:
        rows = csv.raw_rows(grammar, shard.payload, shard.first_line)
        names = csv.names_of(next(rows)[1], grammar, shard.file)
        for _, record in rows:
            yield csv.columns_of(record, names, grammar), record
    else:
        for row, (_, line) in enumerate(jsonl.lines_of(shard.payload, 1), shard.first_row):
            skipped = wanted is not None and row not in wanted
            yield "" if skipped else jsonl.fields_of(line), line
