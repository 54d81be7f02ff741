"""The bounded first pass over the input: which columns it has, and whether it is batch lines.

Every file has its share of the pass, for a later file may well have other columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from penstock.sources.files import InputFile
from penstock.sources.jsonl import fields_of, is_batch_line, lines_of
from penstock.sources.schema import (
    InputSchema,
    schema_of,
    schema_of_rows,
    schema_of_table,
    schema_of_text,
)
from penstock.sources.shard import BATCH, LINES, Cursor
from penstock.sources.spool import BLOCK_BYTES
from penstock.sources.stdin import STDIN_NAME
from penstock.sources.table import TableInput
from penstock.sources.text import TextInput

ROWS: Final = 10_000  # over all files together
BYTES: Final = 64 << 20

_SHARD_ROWS = 100


def schema_of_files(files: Iterable[InputFile], count: int) -> InputSchema:
    """The columns of all `count` files and their types. Raises InputError."""
    return schema_of(_schema_of(file, ROWS // count, BYTES // count) for file in files)


def _schema_of(file: InputFile, rows: int, max_bytes: int) -> InputSchema:
    if isinstance(file, TableInput):
        return schema_of_table(file.schema)
    if isinstance(file, TextInput) and file.kind == BATCH:
        return InputSchema()
    if isinstance(file, TextInput) and file.kind != LINES:
        return schema_of_text(file.column_names())
    # Of standard input what came first is enough: to wait for more would delay the first request.
    max_bytes = BLOCK_BYTES // 2 if file.name == STDIN_NAME else max_bytes
    found = objects(file, rows, max_bytes)
    return schema_of_rows(fields for fields in found if not is_batch_line(fields))


def holds_batch_lines(files: Iterable[InputFile]) -> bool:
    """Whether the first object of the files of JSON lines has the shape of a batch line."""
    lines = (file for file in files if isinstance(file, TextInput) and file.kind == LINES)
    first = next((fields for file in lines for fields in objects(file, ROWS, BYTES)), {})
    return is_batch_line(first)


def objects(file: InputFile, rows: int, max_bytes: int) -> Iterator[dict[str, Any]]:
    """The objects among the first rows of a file of JSON lines."""
    for shard in file.shards(Cursor(), _SHARD_ROWS, BLOCK_BYTES):
        for _, line in lines_of(shard.payload, shard.first_line):
            fields = fields_of(line)
            if isinstance(fields, dict):
                yield fields
        rows -= shard.rows
        max_bytes -= len(shard.payload)
        if rows <= 0 or max_bytes <= 0:
            return
