"""JSON lines: one object a line, whose keys are the record's columns.

What is no such object becomes a record with a `problem`, never an error: malformed JSON (NaN and
Infinity are not JSON), invalid UTF-8, a value that is no object, a line that is too long, a batch
line among others. Integers are exact at any size; of a key that stands twice the last value counts.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from io import BytesIO
from typing import Any, Final

import msgspec

from penstock._core import object_lines
from penstock.record import Record
from penstock.sources.decoded import Fields, record_of, records_of_lines, wanted_lines
from penstock.sources.lines import too_long

BATCH_KEYS: Final = frozenset({"custom_id", "method", "url", "body"})

_MALFORMED = "JSON is malformed: "  # how msgspec begins

_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_decoder = msgspec.json.Decoder()
_decode = _decoder.decode


def lines_of(payload: bytes, first_line: int) -> list[tuple[int, bytes]]:
    """The rows of a payload, each with its 1-based line number; blank lines are none."""
    # A file finds the ends of lines many bytes at a time; `split` looks at each.
    lines = enumerate(BytesIO(payload), first_line)
    return [(number, line.removesuffix(b"\n")) for number, line in lines if not line.isspace()]


def fields_of(line: bytes) -> Fields:
    """The object that a line holds, or what is wrong with it."""
    try:
        value = _decode(line)
    except msgspec.DecodeError as error:
        return too_long(line) or f"malformed JSON: {str(error).removeprefix(_MALFORMED)}"
    except UnicodeDecodeError as error:
        return f"invalid UTF-8 in a string: {error.reason}"
    except RecursionError:
        return "malformed JSON: nested too deeply"
    if type(value) is not dict:
        return f"expected a JSON object, found {name_of(value)}"
    return value


def is_batch_line(fields: dict[str, Any]) -> bool:
    """Whether an object has the shape of an OpenAI batch line."""
    return fields.keys() >= BATCH_KEYS


def name_of(value: object) -> str:
    """A JSON value's type in JSON's words."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return names.get(type(value), "an array")


def records(
    payload: bytes,
    first_row: int,
    file: str,
    first_line: int,
    id_column: str | None,
    wanted: Container[int] | None,
) -> Iterator[Record]:
    """The records of a payload of JSON lines (see `penstock.sources.record.records`)."""
    if wanted is None:
        for row, (number, fields) in enumerate(rows_of(payload, first_line), first_row):
            yield record_of(row, f"{file}:{number}", without_batch(fields), id_column)
        return
    lines = wanted_lines(lines_of(payload, first_line), first_row, file, wanted)
    yield from records_of_lines(lines, lambda line: without_batch(fields_of(line)), id_column)


def columns_of(payload: bytes) -> Iterator[dict[str, Any]]:
    """The columns of each row as `records` has them, none for one with a problem.

    For the export, which reads every row again and has no use for the rest of a record.
    """
    for _, row in rows_of(payload, 1):
        fields = without_batch(row)
        yield {} if isinstance(fields, str) else fields


def rows_of(payload: bytes, first_line: int) -> Iterable[tuple[int, Fields]]:
    """The rows of a payload, each with its 1-based line number, or what is wrong with it."""
    if lines := object_lines(payload):
        try:
            objects = _decoder.decode_lines(payload)
        except _NOT_JSON:
            pass
        else:
            if len(objects) == lines:  # else there is a line with several
                return enumerate(objects, first_line)
    return ((number, fields_of(line)) for number, line in lines_of(payload, first_line))


def without_batch(fields: Fields) -> Fields:
    """The columns of a row that is no batch line, or what is wrong with it."""
    if "custom_id" in fields and not isinstance(fields, str) and is_batch_line(fields):
        return "an OpenAI batch line, while the first row of the input is none"
    return fields
