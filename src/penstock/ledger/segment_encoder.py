"""The bytes of a segment, batch by batch, so that writing them to the disk is someone else's.

They are not compressed. Measured on batches of 256 results of 463 bytes each, with answers of 40
words: encoding takes 0.05 us a result as it is, 0.9 with lz4 (218 bytes), 1.8 with zstd-1 (124).
That is 3 and 5 % of all that a record costs; a checksum over plain buffers is the simpler thing to
trust, too.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from penstock.ledger.schema import RESULT_SCHEMA

BUFFER_BYTES: Final = 256 * 1024


class SegmentEncoder:
    """An Arrow IPC file of the result schema, as the bytes of each step."""

    def __init__(self) -> None:
        self._pieces = _Pieces()
        # Gathers the many small writes of Arrow's writer into one.
        self._out = pa.BufferedOutputStream(pa.PythonFile(self._pieces, mode="w"), BUFFER_BYTES)
        self._writer = pa.ipc.new_file(self._out, RESULT_SCHEMA)

    def batch(self, batch: pa.RecordBatch, metadata: dict[bytes, bytes]) -> bytes:
        """A batch's bytes; before the first one, those of the magic and the schema."""
        self._writer.write_batch(batch, custom_metadata=metadata)
        self._out.flush()
        return self._pieces.take()

    def footer(self) -> bytes:
        """The end of the file."""
        self._writer.close()
        self._out.flush()
        return self._pieces.take()


class _Pieces:
    """A file of Python's kind that keeps what is written until it is taken."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken
