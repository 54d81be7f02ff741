"""Which writer makes which output: by the suffix of its name."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa

from penstock.errors import OutputError
from penstock.ledger.output_columns import OutputColumns


class Output(Protocol):
    """Writes batches of the output's schema to a stream that stays open."""

    def write(self, batch: pa.RecordBatch) -> None: ...

    def close(self) -> None: ...


def output_for(target: Path, sink: BinaryIO, columns: OutputColumns) -> Output:
    """The writer for `target`, into `sink`. Raises ArrowException for a type it can't hold."""
    return writer_for(target, sink, columns.schema, columns.json_columns)


def writer_for(
    target: Path, sink: BinaryIO, schema: pa.Schema, json_columns: frozenset[str] = frozenset()
) -> Output:
    """The writer of batches of `schema`; `json_columns` are those that hold JSON text.

    Each is imported when it is wanted: what they need takes longer to load than the rest of a
    start.
    """
    if target.suffix == ".parquet":
        from penstock.ledger.parquet_output import ParquetOutput

        return ParquetOutput(sink, schema)
    if target.suffix == ".arrow":
        from penstock.ledger.arrow_output import ArrowOutput

        return ArrowOutput(sink, schema)
    if target.suffix == ".jsonl":
        from penstock.ledger.jsonl_output import JsonlOutput

        return JsonlOutput(sink, json_columns)
    from penstock.ledger.csv_output import CsvOutput

    return CsvOutput(sink, schema)


def check_types(target: Path, columns: OutputColumns) -> None:
    """Raises OutputError where the format of `target` can't hold a column's type.

    To be called before the first request, so that no paid run fails at its export.
    """
    for column in columns.kept_columns:
        alone = OutputColumns(columns.inputs, (column.name,), columns.prefix)
        try:
            empty = pa.RecordBatch.from_pylist([], alone.schema)
            output_for(target, io.BytesIO(), alone).write(empty)
        except pa.ArrowException as error:
            raise OutputError(
                f"output {target}: can't hold the column {column.name!r} of type {column.type}: "
                f"{error}",
                "Leave it out by --keep, or choose another format: .arrow holds every type.",
            ) from None
