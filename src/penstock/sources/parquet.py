"""Parquet files: a group is a row group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from penstock.errors import InputError
from penstock.sources.table import check_sound, plain_batch, plain_schema

_READ_BYTES = 1 << 20


class ParquetGroups:
    """A Parquet file, opened. Raises InputError if it is none."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        try:
            # Unbuffered, pyarrow would hold the whole of each column of a row group.
            self._file = pq.ParquetFile(path, buffer_size=_READ_BYTES, pre_buffer=False)
            self.schema = plain_schema(self._file.schema_arrow)  # its names must be UTF-8
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InputError(f"{name}: not a Parquet file: {error}", "Make it anew.") from None
        metadata = self._file.metadata
        self.rows = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]

    def batches(self, group: int, rows: int) -> Iterator[pa.RecordBatch]:
        """A group's rows, in batches of about `rows`. Raises InputError."""
        try:
            for batch in self._file.iter_batches(rows, row_groups=[group], use_threads=False):
                check_sound(batch)
                yield plain_batch(batch, self.schema)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InputError(
                f"{self._name}: row group {group} can't be read: {error}", "Make the file anew."
            ) from None

    def digest(self, group: int) -> bytes:
        """xxh3 of the bytes of a row group's column chunks, as they are in the file."""
        metadata = self._file.metadata.row_group(group)
        digest = xxhash.xxh3_128()
        with self._path.open("rb") as file:
            for column in range(metadata.num_columns):
                chunk = metadata.column(column)
                # The dictionary page, if there is one, comes before the data pages.
                file.seek(chunk.dictionary_page_offset or chunk.data_page_offset)
                left = chunk.total_compressed_size
                while left > 0 and (data := file.read(min(left, _READ_BYTES))):
                    digest.update(data)
                    left -= len(data)
        return digest.digest()
