"""A batch's digest: one number over all that its columns say, whatever buffers they lie in.

Arrow has no checksums of its own: a flipped bit in a body, or in the flatbuffers that describe it,
reads as other values or as another type, and `validate(full=True)` passes. The digest is taken over
the *decoded* columns, so whatever the flip did to offsets, lengths or null counts shows in it.
It does not depend on slicing, padding, an all-valid bitmap that is or is not there, or on the bits
after the last row.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import xxhash

_NO_NULLS: Final = b"\0"
_NULLS: Final = b"\1"


def digest(batch: pa.RecordBatch, head: bytes = b"") -> int:
    """xxh3_64 over `head` and all columns of `batch`: booleans, fixed-width, string and binary.

    The batch must be valid (`validate(full=True)`), as buffers are read by their offsets.
    """
    columns = batch.columns  # each is made anew for whoever asks
    if any(column.offset for column in columns):
        columns = compact(batch).columns
    hasher = xxhash.xxh3_64()
    update = hasher.update
    update(len(head).to_bytes(8, "little"))
    update(head)
    rows = batch.num_rows
    update(rows.to_bytes(8, "little"))
    for column in columns:
        buffers = column.buffers()
        if column.null_count:
            update(_NULLS)
            update(bits(buffers[0], rows))
        else:
            update(_NO_NULLS)
        if rows == 0:
            continue
        if len(buffers) == 3:
            end = int.from_bytes(memoryview(buffers[1])[rows * 4 : rows * 4 + 4], "little")
            update(memoryview(buffers[1])[: rows * 4 + 4])
            if end:
                update(memoryview(buffers[2])[:end])
        elif column.type.bit_width == 1:
            update(bits(buffers[1], rows))
        else:
            update(memoryview(buffers[1])[: rows * (column.type.bit_width // 8)])
    return hasher.intdigest()


def bits(bitmap: pa.Buffer, count: int) -> bytes:
    """The first `count` bits of a bitmap, the rest of the last byte as zeros."""
    found = bytearray(memoryview(bitmap)[: (count + 7) >> 3])
    if count & 7:
        found[-1] &= (1 << (count & 7)) - 1
    return bytes(found)


def compact(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same batch in buffers of its own, without offsets."""
    return pa.ipc.read_record_batch(batch.serialize(), batch.schema)
