"""Reading a segment, torn or not, and believing only what verifies.

The file is read from byte 8 as a stream, since the footer is there only if it was closed in order.
Reading stops at the first batch that does not verify. Garbage is an end, never an error; an error
of the disk is an error, so that paid rows are not mistaken for garbage and bought again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

from penstock.disk import Disk
from penstock.disk_stream import ReadStream
from penstock.errors import LedgerError
from penstock.ledger.mark import Mark, SegmentName, verified
from penstock.ledger.schema import RESULT_SCHEMA

MAGIC: Final = b"ARROW1"
STREAM_START: Final = 8
STREAM_END: Final = b"\xff\xff\xff\xff\0\0\0\0"

# What Arrow says of it. An OSError of its own is a stream that ends too early: those of the disk
# come as LedgerError.
GARBAGE: Final = (pa.ArrowException, OSError, ValueError, MemoryError)


class VerifiedBatch(NamedTuple):
    """A batch that verified, and the bytes of the file that it takes."""

    batch: pa.RecordBatch
    mark: Mark
    start_bytes: int
    end_bytes: int


class SegmentReader:
    """Iterates over the verified batches of a segment; the attributes tell how far it came.

    `from_batch` is the number of the batch that begins at `start_bytes`. After the iteration,
    `is_torn` says whether the file lacks its end, or holds what does not verify.
    Raises LedgerError if the disk can't be read.
    """

    def __init__(
        self, path: Path, run_id: str, *, start_bytes: int = 0, from_batch: int = 0
    ) -> None:
        name = SegmentName.parse(path.name)
        if name is None:
            raise ValueError(f"no segment's name: {path.name}")
        self.path = path
        self.name = name
        self.run_id = run_id
        self.verified_bytes = start_bytes
        self.batches = from_batch  # verified ones, and those before `start_bytes`
        self.is_torn = True
        self.has_remains = False  # bytes that are neither verified nor a footer

    def __iter__(self) -> Iterator[VerifiedBatch]:
        with ReadStream(Disk(), self.path) as stream, pa.PythonFile(stream, mode="r") as file:
            yield from self._read(file)
            self._look_at_end(file)

    def _read(self, file: pa.NativeFile) -> Iterator[VerifiedBatch]:
        reader = open_stream(file)
        if reader is None:
            return
        self.verified_bytes = max(self.verified_bytes, file.tell())
        file.seek(self.verified_bytes)
        while (found := next_batch(reader)) is not None:
            batch, metadata = found
            mark = verified(batch, metadata, self.run_id, self.name, self.batches)
            if mark is None:
                return
            start, self.verified_bytes = self.verified_bytes, file.tell()
            self.batches += 1
            yield VerifiedBatch(batch, mark, start, self.verified_bytes)

    def _look_at_end(self, file: pa.NativeFile) -> None:
        size = file.size()
        file.seek(min(self.verified_bytes, size))
        start = file.read(len(STREAM_END))
        file.seek(max(0, size - 10))
        end = file.read()
        footer_bytes = int.from_bytes(end[:4], "little")
        whole = self.verified_bytes + len(STREAM_END) + footer_bytes + len(end)
        self.is_torn = start != STREAM_END or end[4:] != MAGIC or whole != size
        self.has_remains = not STREAM_END.startswith(start)


def read_batch(path: Path, run_id: str, start_bytes: int, number: int) -> pa.RecordBatch:
    """Batch `number` of a segment, which begins at `start_bytes`.

    Raises LedgerError if it does not verify (any more).
    """
    reader = SegmentReader(path, run_id, start_bytes=start_bytes, from_batch=number)
    for found in reader:
        return found.batch
    raise LedgerError(
        f"{path}: batch {number} does not verify any more",
        "The disk changed what was written. `penstock verify` tells what is left; the same command "
        "asks again for the rest.",
    )


def open_stream(file: pa.NativeFile) -> pa.RecordBatchStreamReader | None:
    """A reader of the stream in a segment; None if it is none of the result schema."""
    if file.size() < STREAM_START or file.read(len(MAGIC)) != MAGIC:
        return None
    file.seek(STREAM_START)
    try:
        reader = pa.ipc.open_stream(file)
    except GARBAGE:
        return None
    return reader if reader.schema.equals(RESULT_SCHEMA, check_metadata=True) else None


def next_batch(
    reader: pa.RecordBatchStreamReader,
) -> tuple[pa.RecordBatch, dict[bytes, bytes]] | None:
    """The next batch of a stream and its metadata; None at the end, or at garbage."""
    try:
        batch, metadata = reader.read_next_batch_with_custom_metadata()
    except (StopIteration, *GARBAGE):
        return None
    return batch, dict(metadata or {})
