"""The mark that each batch of a segment carries: where it belongs, and a digest that proves it.

Reaching the end of a stream proves nothing (cut at a batch boundary it reads as clean), so a batch
is trusted only if its mark names the run, the file and the place in it where it was found, and the
digest covers both the mark and the columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
import pyarrow as pa

from penstock.ledger.digest import digest
from penstock.ledger.schema import RESULT_SCHEMA_HASH

MARK_KEY: Final = b"penstock.mark"
DIGEST_KEY: Final = b"penstock.digest"


class ShardMark(NamedTuple):
    """A shard that a batch has rows of, and the checksum of its raw bytes."""

    first_row: int
    rows: int
    checksum: int


class SegmentName(NamedTuple):
    """Where a segment stands among all others; ascending is the order of choice."""

    epoch: int
    worker: int
    segment: int

    def __str__(self) -> str:
        return f"{self.epoch:04d}-{self.worker:04d}-{self.segment:04d}.arrow"

    @classmethod
    def parse(cls, name: str) -> SegmentName | None:
        """The name of a segment's file, or None if it is no segment's."""
        stem, dot, suffix = name.partition(".")
        parts = stem.split("-")
        if suffix != "arrow" or not dot or len(parts) != 3:
            return None
        if not all(part.isascii() and part.isdecimal() for part in parts):
            return None
        return cls(*map(int, parts))


class Mark(msgspec.Struct, frozen=True):
    """What a batch says of itself."""

    run_id: str
    epoch: int
    worker: int
    segment: int
    batch: int  # its number in the segment, from 0
    generation: int
    rows: int
    shards: list[ShardMark]
    schema: str = RESULT_SCHEMA_HASH


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Mark).decode


def stamp(batch: pa.RecordBatch, mark: Mark) -> dict[bytes, bytes]:
    """The custom metadata of a batch."""
    encoded = _encode(mark)
    return {MARK_KEY: encoded, DIGEST_KEY: b"%016x" % digest(batch, encoded)}


def verified(
    batch: pa.RecordBatch,
    metadata: Mapping[bytes, bytes],
    run_id: str,
    name: SegmentName,
    number: int,
) -> Mark | None:
    """The mark of a batch that was found as batch `number` of a segment; None unless all fits."""
    encoded = metadata.get(MARK_KEY, b"")
    try:
        batch.validate(full=True)
        mark = _decode(encoded)
    except (pa.ArrowException, msgspec.MsgspecError, ValueError):
        return None
    expected = (run_id, *name, number, batch.num_rows, RESULT_SCHEMA_HASH)
    found = (mark.run_id, mark.epoch, mark.worker, mark.segment, mark.batch, mark.rows, mark.schema)
    if found != expected or metadata.get(DIGEST_KEY) != b"%016x" % digest(batch, encoded):
        return None
    return mark
