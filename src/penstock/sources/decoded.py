"""From decoded rows to records: what all formats have in common."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any, Final

import msgspec

from penstock.record import Record

ID_COLUMNS: Final = ("id", "custom_id")  # where none is named

# A row's columns, or what is wrong with it.
Fields = dict[str, Any] | str

_encode = msgspec.json.Encoder().encode


def wanted_lines(
    lines: Iterable[tuple[int, bytes]], first_row: int, file: str, wanted: Container[int] | None
) -> Iterator[tuple[int, str, bytes]]:
    """The lines whose rows are in `wanted` (None: all), each with its row and where it is.

    `lines` are those of all rows from `first_row` on, each with its 1-based line number.
    """
    for row, (line_number, line) in enumerate(lines, first_row):
        if wanted is None or row in wanted:
            yield row, f"{file}:{line_number}", line


def records_of_lines(
    lines: Iterable[tuple[int, str, bytes]],
    decode: Callable[[bytes], Fields],
    id_column: str | None,
) -> Iterator[Record]:
    """The records of lines that `decode` makes columns of."""
    for row, where, line in lines:
        yield record_of(row, where, decode(line), id_column)


def record_of(row: int, where: str, fields: Fields, id_column: str | None) -> Record:
    """A record of a row's columns, or of what is wrong with it."""
    if isinstance(fields, str):
        return Record(row, where, problem=fields)
    return Record(row, where, id_of(fields, id_column), fields)


def id_of(fields: dict[str, Any], column: str | None) -> str | None:
    """A record's id: the named column's value as text, or that of `id` or `custom_id`."""
    if column is not None:
        value = fields.get(column)
    else:
        value = fields.get(ID_COLUMNS[0], fields.get(ID_COLUMNS[1]))
    if value is None or type(value) is str:
        return value
    return _encode(value).decode()
