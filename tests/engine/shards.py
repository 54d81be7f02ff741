"""Shards for tests: real payloads of JSON lines, read as an input would be."""

from __future__ import annotations

from penstock.engine.leases import Grant
from penstock.engine.messages import Lease
from penstock.sources.shard import LINES, Cursor, Shard, checksum_of


def shard(first_row: int, rows: int, text: str = "text") -> Shard:
    """A shard whose rows say their own number."""
    payload = b"".join(
        b'{"id": "r%d", "text": "%s %d"}\n' % (row, text.encode(), row)
        for row in range(first_row, first_row + rows)
    )
    return Shard(
        first_row,
        rows,
        LINES,
        payload,
        "in.jsonl",
        first_row + 1,
        checksum_of(payload),
        Cursor(row=first_row + rows, offset=first_row + rows),
    )


def shards(total: int, each: int) -> list[Shard]:
    """All rows up to `total`, as shards of `each` rows."""
    return [shard(first, min(each, total - first)) for first in range(0, total, each)]


def lease_of(grant: Grant) -> Lease:
    """What a worker is sent for a grant."""
    one = grant.shard
    return Lease(
        grant.lease,
        one.kind,
        one.file,
        one.first_row,
        one.rows,
        one.first_line,
        one.checksum,
        grant.wanted,
        grant.condemned,
    )


def rows_of(ranges: list[tuple[int, int]]) -> list[int]:
    """The rows of half-open ranges."""
    return [row for start, end in ranges for row in range(start, end)]
