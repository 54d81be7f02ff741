"""The checkpoint: what is done, verified and read so far, so that resuming need not look again.

It is only a faster way to know what the segments say. Whatever is wrong with it, or with a segment
that it lists, makes it void, and the segments are read instead.
"""

from __future__ import annotations

from typing import Final

import msgspec
import pyarrow as pa

from penstock.disk import Disk
from penstock.ledger.mark import SegmentName, ShardMark
from penstock.ledger.rows import RowSet
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.sealed_table import POOL, load, pack
from penstock.ledger.written import Spent
from penstock.sources.shard import Cursor

# One table for all that comes in many: `kind` says what a line is of.
#   done     rows, and all before start; number: the generation
#   failed   rows, and all before start; name: the error class
#   shard    start, end: its rows; number: the checksum
#   segment  name; end: verified bytes; number: batches
# `rows` is a bitmap, compressed: rows that failed here and there would make very many ranges.
SCHEMA: Final = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("number", pa.int64(), nullable=False),
        pa.field("rows", pa.binary()),
    ]
)
Line = tuple[str, str, int, int, int, bytes | None]
CODEC: Final = "zstd"


class VerifiedLength(msgspec.Struct, frozen=True):
    """How much of a segment verified."""

    end_bytes: int
    batches: int


class Checkpoint(msgspec.Struct, kw_only=True):
    """What a supervisor knew at an instant. `run_id` and `epoch` say whose."""

    run_id: str
    epoch: int
    generation: int  # the one under way
    written_at: float  # seconds since the Unix epoch
    cursor: Cursor | None  # where to read on: at the low-water mark or before it; None: the start
    spent: Spent
    duplicates: int
    done: dict[int, RowSet]  # by generation
    failed: dict[str, RowSet]  # by error class
    shards: list[ShardMark]  # from the low-water mark on
    segments: dict[SegmentName, VerifiedLength]


class Head(msgspec.Struct, kw_only=True):
    """The part of a checkpoint that is no table."""

    run_id: str
    epoch: int
    generation: int
    written_at: float
    cursor: Cursor | None
    spent: Spent
    duplicates: int


def write_checkpoint(disk: Disk, run_dir: RunDirectory, checkpoint: Checkpoint) -> None:
    """Put a checkpoint in place durably, and keep the one before it.

    At every instant one of the two, if there was one, is there and whole.
    """
    fresh = run_dir.checkpoint_path.with_name(run_dir.checkpoint_path.name + ".new")
    disk.write_file(fresh, encode(checkpoint))
    if run_dir.checkpoint_path.exists():
        disk.rename(run_dir.checkpoint_path, run_dir.previous_checkpoint_path)
    disk.rename(fresh, run_dir.checkpoint_path)
    disk.fsync_dir(run_dir.path)


def read_checkpoint(run_dir: RunDirectory, run_id: str) -> Checkpoint | None:
    """The newest checkpoint of the run that is whole; None if there is none."""
    for path in (run_dir.checkpoint_path, run_dir.previous_checkpoint_path):
        found = load(path, SCHEMA)
        checkpoint = decode(*found) if found else None
        if checkpoint is not None and checkpoint.run_id == run_id:
            return checkpoint
    return None


def void_checkpoint(disk: Disk, run_dir: RunDirectory) -> None:
    """Remove the checkpoints, so that the next recovery reads every segment."""
    disk.unlink(run_dir.previous_checkpoint_path)
    disk.unlink(run_dir.checkpoint_path)
    disk.fsync_dir(run_dir.path)


def encode(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as the bytes of its file."""
    head = Head(**{name: getattr(checkpoint, name) for name in Head.__struct_fields__})
    columns = list(zip(*lines_of(checkpoint), strict=True)) or [()] * len(SCHEMA)
    arrays = [
        pa.array(values, field.type, memory_pool=POOL)
        for values, field in zip(columns, SCHEMA, strict=True)
    ]
    batch = pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
    return pack(batch, msgspec.json.encode(head))


def lines_of(checkpoint: Checkpoint) -> list[Line]:
    """The lines of a checkpoint's table."""
    lines: list[Line] = []
    for generation, done in checkpoint.done.items():
        lines.append(("done", "", done.full_rows, 0, generation, compressed(done)))
    for error_class, failed in checkpoint.failed.items():
        lines.append(("failed", error_class, failed.full_rows, 0, 0, compressed(failed)))
    for first, rows, checksum in checkpoint.shards:
        lines.append(("shard", "", first, first + rows, checksum, None))
    for name, length in checkpoint.segments.items():
        lines.append(("segment", str(name), 0, length.end_bytes, length.batches, None))
    return lines


def compressed(rows: RowSet) -> bytes:
    """A set of rows as bytes: the size of the bitmap, and the bitmap compressed.

    It begins where not all rows are in the set: what is done would else be written each time.
    """
    bits = rows.to_bytes(rows.full_rows)
    return len(bits).to_bytes(8, "little") + bytes(pa.compress(bits, CODEC, memory_pool=POOL))


def decompressed(data: bytes, full_rows: int) -> RowSet:
    size = int.from_bytes(data[:8], "little")
    return RowSet.from_bytes(bytes(pa.decompress(data[8:], size, CODEC)), full_rows)


def decode(batch: pa.RecordBatch, head: bytes) -> Checkpoint | None:
    """The checkpoint of a table and a head; None if it is of another kind."""
    try:
        known = msgspec.json.decode(head, type=Head)
    except (msgspec.MsgspecError, ValueError):
        return None
    checkpoint = Checkpoint(
        **msgspec.structs.asdict(known), done={}, failed={}, shards=[], segments={}
    )
    for line in zip(*(column.to_pylist() for column in batch.columns), strict=True):
        if not put_line(checkpoint, line):
            return None
    return checkpoint


def put_line(checkpoint: Checkpoint, line: Line) -> bool:
    """Add a line of the table to a checkpoint; False for a line of no known kind."""
    kind, name, start, end, number, rows = line
    if kind == "done" and rows is not None:
        checkpoint.done[number] = decompressed(rows, start)
    elif kind == "failed" and rows is not None:
        checkpoint.failed[name] = decompressed(rows, start)
    elif kind == "shard":
        checkpoint.shards.append(ShardMark(start, end - start, number))
    elif kind == "segment" and (segment := SegmentName.parse(name)) is not None:
        checkpoint.segments[segment] = VerifiedLength(end, number)
    else:
        return False
    return True
