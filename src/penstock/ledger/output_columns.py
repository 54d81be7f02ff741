"""The columns of the output: the input's, as far as they are kept, then those of the results.

Input columns come first, as in a table to which columns were added. The record's id is one column,
not two: where the input's own is called as the result's, the result's stands for both.
"""

from __future__ import annotations

from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.types as kinds

from penstock.errors import OutputError
from penstock.ledger.embedding import NAME, Embedding
from penstock.ledger.parsed import Parsed
from penstock.ledger.schema import RESULT_SCHEMA
from penstock.sources.schema import JSON, Column, InputSchema

KEEP_ALL: Final = "all"
KEEP_NONE: Final = "none"

AFTER_OUTPUT: Final = RESULT_SCHEMA.names.index("output") + 1

# What a file of dead letters has beside a record's columns: an earlier run's words.
DEAD_LETTER_KEY: Final = "_penstock"


class OutputColumns(msgspec.Struct, frozen=True):
    """What the output's columns are called, of which types they are, and where they come from."""

    inputs: InputSchema
    kept: tuple[str, ...]
    prefix: str = ""
    parsed: Parsed | None = None  # where answers have to match a schema
    embedding: Embedding | None = None  # where answers are vectors

    @property
    def kept_columns(self) -> tuple[Column, ...]:
        return tuple(self.inputs[name] for name in self.kept)

    @property
    def kept_schema(self) -> pa.Schema:
        """The input's columns as they stand in the output."""
        return pa.schema(
            [pa.field(column.name, plain(column.arrow_type)) for column in self.kept_columns]
        )

    @property
    def result_schema(self) -> pa.Schema:
        """The results' columns, under their prefix; those of parsed answers follow the output.

        So do vectors, which leave nothing in it.
        """
        fields = list(RESULT_SCHEMA)
        if self.embedding is not None:
            fields.insert(AFTER_OUTPUT, self.embedding.field)
        fields[AFTER_OUTPUT:AFTER_OUTPUT] = self.parsed.fields if self.parsed else []
        return pa.schema([field.with_name(self.prefix + field.name) for field in fields])

    def result_columns(self, results: pa.RecordBatch) -> list[pa.Array]:
        """The columns of `result_schema`, for a batch of the ledger's results. Raises Misfit."""
        columns: list[pa.Array] = results.columns
        if self.embedding is not None:
            columns.insert(AFTER_OUTPUT, self.embedding.column(results))
            columns[AFTER_OUTPUT - 1] = pa.nulls(results.num_rows, pa.string())
        columns[AFTER_OUTPUT:AFTER_OUTPUT] = self.parsed.columns(results) if self.parsed else []
        return columns

    @property
    def schema(self) -> pa.Schema:
        """All columns of the output, in order."""
        return pa.schema([*self.kept_schema, *self.result_schema])

    @property
    def json_columns(self) -> frozenset[str]:
        """The columns that hold JSON text."""
        ours = [self.prefix + "tool_calls"]
        if self.parsed is not None and self.parsed.as_json:
            ours += [self.prefix + field.name for field in self.parsed.fields]
        return frozenset(
            [column.name for column in self.kept_columns if column.type == JSON] + ours
        )

    @property
    def types(self) -> list[tuple[str, str]]:
        """Each column's name and type, for the manifest."""
        return [(field.name, str(field.type)) for field in self.schema]

    def widened(self, name: str, wider: str) -> OutputColumns:
        """The same with one of the input's columns, or that of vectors, of a wider type."""
        if self.embedding is not None and name == NAME:
            return msgspec.structs.replace(self, embedding=Embedding())
        return msgspec.structs.replace(self, inputs=self.inputs.widened(name, wider))

    def announcement(self) -> str:
        """The types of the input's columns in one line, to be said before the first request."""
        if not self.kept:
            return "output: no columns of the input"
        told = ", ".join(f"{column.name} ({column.type})" for column in self.kept_columns)
        return f"output: the input's columns are {told}"


def output_columns(
    inputs: InputSchema,
    *,
    keep: str = KEEP_ALL,
    prefix: str = "",
    id_column: str | None = None,
    parsed: Parsed | None = None,
    embedding: Embedding | None = None,
) -> OutputColumns:
    """The output's columns for a job's --keep, --prefix and --id, and its --schema.

    Raises OutputError where --keep names no column, or two columns would have one name.
    """
    if parsed is not None and parsed.flat:
        check_flat(parsed)
    names = kept_names(inputs, keep)
    if prefix == "" and inputs.id_column(id_column) == "id":
        names = tuple(name for name in names if name != "id")
    columns = OutputColumns(inputs, names, prefix, parsed, embedding)
    found = collisions(columns)
    if found:
        raise OutputError(
            f"the input's columns have names of result columns: {', '.join(found)}",
            f"Name the result columns otherwise: --prefix {free_prefix(columns)}, "
            "or leave those out by --keep.",
        )
    return columns


def check_flat(parsed: Parsed) -> None:
    """Raises OutputError where an answer can't be columns beside those of the result."""
    if not parsed.fields:
        raise OutputError(
            "--flatten: the schema is not of an object with properties", "Leave it out."
        )
    found = [field.name for field in parsed.fields if field.name in RESULT_SCHEMA.names]
    if found:
        raise OutputError(
            f"--flatten: properties of the answer have names of result columns: {', '.join(found)}",
            "Leave it out, or name the properties otherwise.",
        )


def kept_names(inputs: InputSchema, keep: str) -> tuple[str, ...]:
    """The columns that --keep names, in the input's order. Raises OutputError."""
    if keep == KEEP_ALL:
        return tuple(name for name in inputs.names if name != DEAD_LETTER_KEY)
    if keep == KEEP_NONE:
        return ()
    wanted = [name.strip() for name in keep.split(",")]
    missing = [name for name in wanted if name not in inputs.names]
    if missing:
        raise OutputError(
            f"--keep {keep}: the input has no column {missing[0]!r}",
            f"Its columns: {', '.join(inputs.names) or 'none'}.",
        )
    return tuple(name for name in inputs.names if name in wanted)


def collisions(columns: OutputColumns) -> list[str]:
    """The names that stand for a column of the input and for one of the results."""
    return [name for name in columns.result_schema.names if name in columns.kept]


def free_prefix(columns: OutputColumns) -> str:
    """A prefix under which nothing collides."""
    prefix = "penstock_"
    while collisions(msgspec.structs.replace(columns, prefix=prefix)):
        prefix = "_" + prefix
    return prefix


def plain(kind: pa.DataType) -> pa.DataType:
    """`kind` without encodings: an Arrow file can't hold dictionaries that change on the way."""
    if kinds.is_dictionary(kind) or kinds.is_run_end_encoded(kind):
        return plain(kind.value_type)
    if kinds.is_string_view(kind):
        return pa.string()
    if kinds.is_binary_view(kind):
        return pa.binary()
    if kinds.is_struct(kind):
        return pa.struct([field.with_type(plain(field.type)) for field in kind])
    if kinds.is_list(kind):
        return pa.list_(kind.value_field.with_type(plain(kind.value_type)))
    if kinds.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(plain(kind.value_type)))
    return kind
