"""Arrow IPC files: a group is a record batch of the file. Streams, which can't be entered in the
middle, are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import xxhash

from penstock.errors import InputError
from penstock.sources.table import check_sound, plain_batch, plain_schema


class ArrowGroups:
    """An Arrow IPC file, opened. Raises InputError if it is none."""

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        try:
            # Mapped, so that a file of one huge record batch isn't held.
            self._map = pa.memory_map(str(path))
            self._file = pa.ipc.open_file(self._map)
            self.rows = self._count_rows()
            self.schema = plain_schema(self._file.schema)  # a name that isn't UTF-8 is found here
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InputError(
                f"{name}: not an Arrow IPC file: {error}",
                "Write it with pyarrow.ipc.new_file (Feather version 2 is the same).",
            ) from None

    def _count_rows(self) -> list[int]:
        """The rows of each record batch, by its narrowest column: compressed ones are unpacked."""
        widths = [_width(field.type) for field in self._file.schema]
        narrowest = [widths.index(min(widths))] if widths else []
        options = pa.ipc.IpcReadOptions(included_fields=narrowest)
        narrow = pa.ipc.open_file(self._map, options=options)
        return [narrow.get_batch(n).num_rows for n in range(narrow.num_record_batches)]

    def batches(self, group: int, rows: int) -> Iterator[pa.RecordBatch]:
        """A group's rows, in one batch. Raises InputError."""
        batch = self._batch(group)
        try:
            check_sound(batch)
        except pa.ArrowException as error:
            raise self._unreadable(group, error) from None
        yield plain_batch(batch, self.schema)

    def digest(self, group: int) -> bytes:
        """xxh3 of the buffers of a record batch, as they are in the file."""
        digest = xxhash.xxh3_128()
        for column in self._batch(group).columns:
            parts = [column]
            if pa.types.is_dictionary(column.type):
                parts.append(column.dictionary)
            for buffer in (buffer for part in parts for buffer in part.buffers()):
                digest.update(memoryview(buffer) if buffer is not None else b"-")
        return digest.digest()

    def _batch(self, group: int) -> pa.RecordBatch:
        try:
            return self._file.get_batch(group)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._unreadable(group, error) from None

    def _unreadable(self, group: int, error: Exception) -> InputError:
        return InputError(
            f"{self._name}: record batch {group} can't be read: {error}", "Make the file anew."
        )


def _width(kind: pa.DataType) -> int:
    """A column's bits per value; many where they differ."""
    return int(kind.bit_width) if pa.types.is_primitive(kind) else 1 << 16
