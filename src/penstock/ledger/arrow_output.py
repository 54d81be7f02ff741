"""The output as an Arrow IPC file, uncompressed, so that readers may map it into memory."""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa


class ArrowOutput:
    """Writes batches of one schema to `sink` as an Arrow IPC file."""

    def __init__(self, sink: BinaryIO, schema: pa.Schema) -> None:
        self._writer = pa.ipc.new_file(sink, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def close(self) -> None:
        """Writes the footer; `sink` stays open."""
        self._writer.close()
