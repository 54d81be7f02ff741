"""A small Arrow IPC file of one batch that proves itself: a checkpoint, or a redo's rows.

What is no table (counters, times) goes as JSON into the metadata; the digest covers both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa

from penstock.disk import Disk
from penstock.ledger.digest import digest
from penstock.ledger.segment_reader import GARBAGE, MAGIC, STREAM_START, next_batch

HEAD_KEY: Final = b"penstock.head"
DIGEST_KEY: Final = b"penstock.digest"
# A checkpoint is made every few seconds for days; Arrow's own pool keeps what that took.
POOL: Final = pa.system_memory_pool()


def pack(batch: pa.RecordBatch, head: bytes) -> bytes:
    """The file's bytes."""
    out = pa.BufferOutputStream(POOL)
    metadata = {HEAD_KEY: head, DIGEST_KEY: b"%016x" % digest(batch, head)}
    with pa.ipc.new_file(out, batch.schema) as writer:
        writer.write_batch(batch, custom_metadata=metadata)
    return bytes(out.getvalue())


def unpack(data: bytes, schema: pa.Schema) -> tuple[pa.RecordBatch, bytes] | None:
    """The batch and the head of a file; None unless it is whole and of this schema."""
    if not data.startswith(MAGIC) or not data.endswith(MAGIC):
        return None
    try:
        reader = pa.ipc.open_stream(pa.py_buffer(data)[STREAM_START:])
    except GARBAGE:
        return None
    if not reader.schema.equals(schema, check_metadata=True):
        return None
    found = next_batch(reader)
    if found is None:
        return None
    batch, metadata = found
    try:
        batch.validate(full=True)
    except pa.ArrowException:
        return None
    head = metadata.get(HEAD_KEY, b"")
    return (batch, head) if metadata.get(DIGEST_KEY) == b"%016x" % digest(batch, head) else None


def load(path: Path, schema: pa.Schema) -> tuple[pa.RecordBatch, bytes] | None:
    """As `unpack`, of a file; None if it isn't there. Raises LedgerError if it can't be read."""
    data = Disk().read_file(path)
    return None if data is None else unpack(data, schema)
