"""A shard, a contiguous range of rows of one input file, and the cursor that says where it ends.

A shard's boundaries depend on nothing but the file's bytes, the row it begins at and the two sizes
given to `Inputs.shards`; so reading on from any shard's `next` gives the shards that reading from
the start would have given.
"""

from __future__ import annotations

import msgspec
import xxhash

from penstock.errors import InputError

# What a payload holds, and so who decodes it (see `penstock.sources.record`).
LINES = "lines"  # JSON objects, one a line
BATCH = "batch"  # OpenAI batch lines
CSV = "csv"  # the header's record, then the rows'
TSV = "tsv"
COLUMNS = "columns"  # an Arrow IPC stream of one record batch

_SIGN = 1 << 63


class Cursor(msgspec.Struct, frozen=True):
    """Where reading goes on: the first byte, or row, that no earlier shard holds."""

    file: int = 0  # index into the frozen inputs
    row: int = 0  # of the run, over all inputs
    offset: int = 0  # bytes into the (decompressed) file; for columns, rows into the file
    line: int = 1  # 1-based line at `offset`; for columns, 0
    # Where decompression can begin nearest before `offset`: a byte of the compressed file, and the
    # decompressed offset that it stands for.
    restart: int = 0
    restart_offset: int = 0


class Shard(msgspec.Struct, frozen=True):
    """A contiguous range of rows of one file, with what is needed to decode and to recheck it."""

    first_row: int
    rows: int
    kind: str  # LINES, BATCH, CSV, TSV or COLUMNS
    payload: bytes
    file: str  # the input's name, for messages
    first_line: int  # 1-based line of the first row's line; for COLUMNS, rows into the file
    # Signed 64 bits, for a comparison with an earlier reading of the same rows. For COLUMNS it is
    # of the file's bytes, not of the payload: Arrow leaves bytes under nulls undefined.
    checksum: int
    next: Cursor


def checksum_of(data: bytes | memoryview) -> int:
    """xxh3 of `data`, as a signed 64-bit integer."""
    return signed(xxhash.xxh3_64_intdigest(data))


def signed(digest: int) -> int:
    """An unsigned 64-bit digest as a signed integer, which every Arrow and JSON reader can hold."""
    return (digest ^ _SIGN) - _SIGN


def check_unchanged(shard: Shard, rows: int, checksum: int) -> None:
    """Raises InputError, naming file and row, unless `shard` is what an earlier reading saw."""
    if shard.rows != rows or shard.checksum != checksum:
        raise InputError(
            f"{shard.file}: rows {shard.first_row} to {shard.first_row + rows - 1} "
            f"(from line {shard.first_line}) are not what this run began with",
            "Bring the input back as it was, or begin anew with --fresh.",
        )
