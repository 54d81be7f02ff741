"""Records of a shard of columns: Python values, as templates see them.

Python's times end at microseconds, so nanoseconds are dropped here (the output's columns keep
them). A row with a value that Python can't hold, such as a year after 9999 or a string that isn't
UTF-8, is a record with a `problem`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, Final

import pyarrow as pa

from penstock.record import Record
from penstock.sources.decoded import Fields, record_of
from penstock.sources.microseconds import in_microseconds
from penstock.sources.table import batch_of_stream

# A decimal of more digits than its type has is an ArithmeticError, as is what overflows.
UNREADABLE: Final = (ValueError, ArithmeticError, pa.ArrowException)


def records(
    payload: bytes,
    first_row: int,
    file: str,
    first_line: int,
    id_column: str | None,
    wanted: Container[int] | None,
) -> Iterator[Record]:
    """The records of an Arrow IPC stream (see `penstock.sources.record.records`)."""
    batch = batch_of_stream(payload)
    for index, fields in enumerate(rows_of(batch)):
        row = first_row + index
        if wanted is not None and row not in wanted:
            continue
        where = f"{file} row {first_line + index}"
        yield record_of(row, where, fields, id_column)


def rows_of(batch: pa.RecordBatch) -> Iterator[Fields]:
    """Each row's columns, or what is wrong with it."""
    names = batch.schema.names
    try:
        columns = [values_of(column) for column in batch.columns]
    except UNREADABLE:
        if batch.num_rows == 1:
            yield _problem(batch)
            return
        for row in range(batch.num_rows):
            yield from rows_of(batch.slice(row, 1))
        return
    if not columns:
        yield from ({} for _ in range(batch.num_rows))
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def values_of(column: pa.Array) -> list[Any]:
    """A column's values in Python. Raises one of `UNREADABLE` where one can't be."""
    values: list[Any] = in_microseconds(column).to_pylist()
    if pa.types.is_map(column.type):
        return [None if value is None else dict(value) for value in values]
    return values


def _problem(row: pa.RecordBatch) -> str:
    """Which column of a single row can't be a Python value."""
    for name, column in zip(row.schema.names, row.columns, strict=True):
        try:
            values_of(column)
        except UNREADABLE as error:
            return f"column {name!r} can't be read: {error}"
    return "the row can't be read"
