"""The output as JSON lines: every column in every line, in the order of the schema, null included.

A column whose cells are JSON text stands there as the JSON that it is. Times are RFC 3339, bytes
base64, and NaN and the infinities, which JSON has no words for, are null.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa

from penstock.ledger.cells import json_values

# Rows turned into Python objects at a time: what bounds the memory for them.
ROWS_AT_ONCE = 2048


class JsonlOutput:
    """Writes batches to `sink` as JSON lines; `json_columns` names those that hold JSON text."""

    def __init__(self, sink: BinaryIO, json_columns: frozenset[str]) -> None:
        self._sink = sink
        self._json_columns = json_columns
        self._encoder = msgspec.json.Encoder()

    def write(self, batch: pa.RecordBatch) -> None:
        for start in range(0, batch.num_rows, ROWS_AT_ONCE):
            rows = row_dicts(batch.slice(start, ROWS_AT_ONCE), self._json_columns)
            self._sink.write(self._encoder.encode_lines(rows))

    def close(self) -> None:
        """Nothing follows the last line; `sink` stays open."""


def row_dicts(batch: pa.RecordBatch, json_columns: frozenset[str]) -> Iterator[dict[str, Any]]:
    """The rows of `batch` as dicts that encode to JSON."""
    names = batch.schema.names
    columns = [
        raw_cells(column) if name in json_columns else json_values(column)
        for name, column in zip(names, batch.columns, strict=True)
    ]
    return (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


def raw_cells(column: pa.Array) -> list[msgspec.Raw | None]:
    """Cells of JSON text, to be written as they are, but each on one line."""
    return [None if cell is None else msgspec.Raw(one_line(cell)) for cell in column.to_pylist()]


def one_line(text: str) -> bytes:
    """JSON text without line breaks, which a server's own may have."""
    encoded = text.encode()
    broken = b"\n" in encoded or b"\r" in encoded
    return msgspec.json.format(encoded, indent=-1) if broken else encoded
