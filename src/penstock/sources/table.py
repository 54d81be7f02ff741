"""An input of columns, Parquet or Arrow, cut into shards that each hold one record batch.

A shard never crosses a group (a row group, or a record batch of the file), so that its boundaries
follow from the group's rows alone, wherever in it reading begins.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import Protocol

import pyarrow as pa
import xxhash

from penstock.errors import InputError
from penstock.sources.shard import COLUMNS, Cursor, Shard, signed


class Groups(Protocol):
    """A columnar file, opened: its columns, and its rows in groups."""

    schema: pa.Schema
    rows: list[int]  # of each group

    def batches(self, group: int, rows: int) -> Iterator[pa.RecordBatch]:
        """A group's rows, in batches of about `rows`. Raises InputError."""

    def digest(self, group: int) -> bytes:
        """A digest of a group's content, the same at every reading of the same file."""


class TableInput:
    """One columnar file. Raises InputError where it has no columns, or two of one name."""

    def __init__(self, name: str, groups: Groups) -> None:
        names = groups.schema.names
        if not names:
            raise InputError(f"{name}: has no columns", "Write it with some.")
        twice = [column for column, count in Counter(names).items() if count > 1]
        if twice:
            raise InputError(f"{name}: two columns are called {twice[0]!r}", "Rename one.")
        self.name = name
        self._groups = groups
        self.schema = groups.schema
        self.rows = sum(groups.rows)

    def shards(self, cursor: Cursor, rows: int, max_bytes: int) -> Iterator[Shard]:
        """The shards from `cursor` to the file's end. Raises InputError."""
        ends = list(accumulate(self._groups.rows))
        for group, (end, size) in enumerate(zip(ends, self._groups.rows, strict=True)):
            if end <= cursor.offset:
                continue
            pending = Pending(self._batches(group, rows))
            # First of all, for reading says what is wrong with a group's metadata; to ask for it,
            # as the digest does, ends the process where pyarrow can't make sense of it.
            pending.fill(1)
            digest = self._groups.digest(group)
            pending.drop(cursor.offset - (end - size))
            while (batch := pending.take(rows, max_bytes)) is not None:
                shard = self._shard(batch, cursor, digest)
                yield shard
                cursor = shard.next

    def _batches(self, group: int, rows: int) -> Iterator[pa.RecordBatch]:
        """A group's batches. Raises InputError where they aren't as many rows as the file says."""
        missing = self._groups.rows[group]
        for batch in self._groups.batches(group, rows):
            missing -= batch.num_rows
            yield batch
        if missing:
            raise InputError(
                f"{self.name}: group {group} has other rows than the {self._groups.rows[group]:,} "
                "that the file says",
                "Make the file anew.",
            )

    def _shard(self, batch: pa.RecordBatch, cursor: Cursor, digest: bytes) -> Shard:
        count = batch.num_rows
        return Shard(
            first_row=cursor.row,
            rows=count,
            kind=COLUMNS,
            payload=stream_of(batch),
            file=self.name,
            first_line=cursor.offset,
            checksum=signed(
                xxhash.xxh3_64_intdigest(digest + b"%d %d" % (cursor.offset, count)),
            ),
            next=Cursor(cursor.file, cursor.row + count, cursor.offset + count, 0),
        )

    def count_rows(self, stop: threading.Event) -> int:
        """How many rows there are; the file says so."""
        return self.rows


class Pending:
    """Rows that were read and not yet given out."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._held: list[pa.RecordBatch] = []
        self._rows = 0

    def fill(self, rows: int) -> None:
        """Reads until `rows` rows are held, or all."""
        while self._rows < rows and (batch := next(self._batches, None)) is not None:
            if batch.num_rows:
                self._held.append(batch)
                self._rows += batch.num_rows

    def drop(self, rows: int) -> None:
        """Passes over `rows` rows."""
        while rows > 0 and (batch := self._slice(rows)) is not None:
            rows -= batch.num_rows

    def take(self, rows: int, max_bytes: int) -> pa.RecordBatch | None:
        """The next `rows` rows, or half of them and so on till they fit; None at the end."""
        self.fill(rows)
        if not self._held:
            return None
        together = self._held[0] if len(self._held) == 1 else pa.concat_batches(self._held)
        count = rows
        while count > 1 and together.slice(0, count).nbytes > max_bytes:
            count = (count + 1) // 2
        self._held = [together]
        return self._slice(count)

    def _slice(self, rows: int) -> pa.RecordBatch | None:
        """At most `rows` rows of the first batch that is held."""
        self.fill(1)
        if not self._held:
            return None
        first = self._held[0]
        taken = first.slice(0, rows)
        rest = first.slice(taken.num_rows)
        self._held[:1] = [rest] if rest.num_rows else []
        self._rows -= taken.num_rows
        return taken


def stream_of(batch: pa.RecordBatch) -> bytes:
    """A record batch as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def batch_of_stream(payload: bytes) -> pa.RecordBatch:
    """The record batch that `stream_of` wrote."""
    with pa.ipc.open_stream(payload) as reader:
        return reader.read_next_batch()


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """`schema` without dictionary encoding, which would carry its dictionary in every shard."""
    return pa.schema([pa.field(field.name, plain_type(field.type)) for field in schema])


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type of a dictionary's values; any other type as it is."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def plain_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """`batch` with its dictionaries decoded, under its plain schema."""
    columns = [
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def check_sound(batch: pa.RecordBatch) -> None:
    """Raises ArrowInvalid where a batch of a file points outside itself: reading it would crash.

    Text that isn't UTF-8 is let through: that is a matter of single rows.
    """
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        for column in batch.columns:
            as_bytes(column).validate(full=True)


def as_bytes(column: pa.Array) -> pa.Array:
    """A column with bytes in place of its text."""
    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(column.indices, as_bytes(column.dictionary))
    column.validate()
    kind = bytes_type(column.type)
    return column if kind == column.type else column.view(kind)


def bytes_type(kind: pa.DataType) -> pa.DataType:
    """A type with bytes in place of its text; only what holds no text keeps its type."""
    if pa.types.is_string(kind):
        return pa.binary()
    if pa.types.is_large_string(kind):
        return pa.large_binary()
    if pa.types.is_list(kind):
        return pa.list_(bytes_field(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(bytes_field(kind.value_field))
    if pa.types.is_struct(kind):
        return pa.struct([bytes_field(kind.field(n)) for n in range(kind.num_fields)])
    if pa.types.is_map(kind):
        return pa.map_(bytes_field(kind.key_field), bytes_field(kind.item_field))
    return kind


def bytes_field(field: pa.Field) -> pa.Field:
    return field.with_type(bytes_type(field.type))
