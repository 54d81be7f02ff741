"""The output as CSV: UTF-8, comma, a header line, text quoted, null as an empty cell.

A text cell that begins with = + - @, a tab or a carriage return would be run as a formula by
spreadsheet programs, with whatever a model or a stranger's record put there, so it gets an
apostrophe in front (https://owasp.org/www-community/attacks/CSV_Injection). Numbers stay numbers.
What CSV has no cell for (lists, structs) is JSON text.
"""

from __future__ import annotations

from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.types as kinds

from penstock.ledger.cells import texts

FORMULA_STARTS: Final = pa.array(["=", "+", "-", "@", "\t", "\r"])


class CsvOutput:
    """Writes batches of one schema to `sink` as CSV."""

    def __init__(self, sink: BinaryIO, schema: pa.Schema) -> None:
        fields = [pa.field(name, cell_type(field)) for name, field in header(schema)]
        self._schema = pa.schema(fields)
        self._writer = pyarrow.csv.CSVWriter(sink, self._schema)

    def write(self, batch: pa.RecordBatch) -> None:
        columns = [cells(column) for column in batch.columns]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))

    def close(self) -> None:
        """Nothing follows the last line; `sink` stays open."""
        self._writer.close()


def header(schema: pa.Schema) -> list[tuple[str, pa.Field]]:
    """Each field with the name that its column has in the file: headers are text cells too."""
    names = escape_formulas(pa.array(schema.names, pa.string())).to_pylist()
    return list(zip(names, schema, strict=True))


def cell_type(field: pa.Field) -> pa.DataType:
    return field.type if is_plain(field.type) else pa.string()


def is_plain(kind: pa.DataType) -> bool:
    """Whether CSV writes the type as it is: numbers and truth values."""
    return bool(
        kinds.is_integer(kind)
        or kinds.is_float32(kind)
        or kinds.is_float64(kind)
        or kinds.is_boolean(kind)
    )


def cells(column: pa.Array) -> pa.Array:
    """A column as CSV shows it."""
    if is_plain(column.type):
        return column
    return escape_formulas(texts(column))


def escape_formulas(column: pa.Array) -> pa.Array:
    """Text cells, with an apostrophe before those that a spreadsheet would run."""
    risky = pc.is_in(pc.utf8_slice_codeunits(column, 0, 1), FORMULA_STARTS)
    if not risky.true_count:
        return column
    return pc.if_else(risky, pc.binary_join_element_wise("'", column, ""), column)
