"""Inputs that are objects in Python, spooled into the run directory to become ordinary inputs.

Dicts come as a stream does, one JSON line each, while the run goes on; a table is written whole to
an Arrow file first. When a run is resumed, what is given again must be what was spooled.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import msgspec
import pyarrow as pa

from penstock.disk import Disk
from penstock.disk_stream import WriteStream
from penstock.errors import InputError
from penstock.sources.table import Pending, plain_batch, plain_schema

TABLE_NAME: Final = "table.arrow"

_NO_ITEM: Final = object()

_BATCH_ROWS: Final = 16_384
_BATCH_BYTES: Final = 16 << 20
_BUFFER_BYTES: Final = 1 << 20


def spooled(objects: Any, spool: Path) -> tuple[list[str], BinaryIO | None]:
    """The `paths` and the `stdin` with which `Inputs.open` reads `objects`.

    These are anything with `__arrow_c_stream__`, which is written into the folder `spool` first, or
    an iterable of dicts. Raises InputError for anything else, and where a table isn't the one that
    was spooled.
    """
    if hasattr(objects, "__arrow_c_stream__"):
        return [str(spool_table(objects, spool))], None
    if isinstance(objects, Iterable) and not isinstance(objects, str | bytes | dict):
        return ["-"], cast(BinaryIO, ObjectLines(objects))
    raise InputError(
        f"inputs: {type(objects).__name__} can't be read",
        "Give paths, a table with __arrow_c_stream__, or an iterable of dicts.",
    )


class ObjectLines(io.RawIOBase):
    """An iterable of dicts as a stream of JSON lines.

    Reading raises InputError, naming the item, for what is no dict or not of JSON values.
    """

    def __init__(self, objects: Iterable[Any]) -> None:
        self._objects = iter(objects)
        self._number = -1
        self._encoder = msgspec.json.Encoder()
        self._ready = bytearray()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, of as many items as that takes."""
        while len(self._ready) < size and (line := self._next_line()):
            self._ready += line
        given = bytes(self._ready[:size])
        del self._ready[:size]
        return given

    def _next_line(self) -> bytes:
        try:
            self._number += 1
            item = next(self._objects, _NO_ITEM)
            if item is _NO_ITEM:
                return b""
            if not isinstance(item, dict):
                raise TypeError(f"expected a dict, found {type(item).__name__}")
            return self._encoder.encode(item) + b"\n"
        except Exception as error:
            # The caller's own code may raise anything while it makes the next item.
            raise InputError(
                f"inputs: item {self._number}: {error}", "Every item is a dict of JSON values."
            ) from error


def spool_table(table: Any, spool: Path) -> Path:
    """Writes a table to an Arrow file in the folder `spool`, or checks that it is there already.

    Raises InputError where another table is there, LedgerError where the disk fails.
    """
    reader = pa.RecordBatchReader.from_stream(table)
    path = spool / TABLE_NAME
    if path.exists():
        check_same(reader, path)
        return path
    write_table(Disk(), reader, path)
    return path


def write_table(disk: Disk, reader: pa.RecordBatchReader, path: Path) -> None:
    """Writes a stream as an Arrow file, which is there whole and durable or not at all."""
    disk.make_dir(path.parent)
    temporary = path.with_suffix(".tmp")
    disk.unlink(temporary)
    stream = WriteStream(disk, disk.open_new(temporary))
    sink = io.BufferedWriter(stream, _BUFFER_BYTES)
    try:
        with pa.ipc.new_file(sink, plain_schema(reader.schema)) as writer:
            for batch in batches_of(reader):
                writer.write_batch(batch)
        sink.flush()
        disk.fsync(stream.descriptor)
    finally:
        stream.end()
    disk.rename(temporary, path)
    disk.fsync_dir(path.parent)
    disk.fsync_dir(path.parent.parent)


def batches_of(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """A stream's rows, in batches that don't depend on how the stream was cut."""
    schema = plain_schema(reader.schema)
    pending = Pending(plain_batch(batch, schema) for batch in reader)
    while (batch := pending.take(_BATCH_ROWS, _BATCH_BYTES)) is not None:
        yield batch


def check_same(reader: pa.RecordBatchReader, path: Path) -> None:
    """Raises InputError unless a stream holds what the file does."""
    with pa.memory_map(str(path)) as source:
        file = pa.ipc.open_file(source)
        kept = (file.get_batch(number) for number in range(file.num_record_batches))
        row = 0
        for new, old in zip_longest(batches_of(reader), kept):
            if new is None or old is None or not same(new, old):
                raise InputError(
                    f"inputs: the table is not what this run began with, from row {row} on",
                    "Pass the same table again, or begin anew with fresh=True.",
                )
            row += new.num_rows


def same(one: pa.RecordBatch, other: pa.RecordBatch) -> bool:
    """Whether two batches hold the same values; NaN is the same as NaN here."""
    if one.schema != other.schema:
        return False
    return bool(one.equals(other)) or repr(one.to_pylist()) == repr(other.to_pylist())
