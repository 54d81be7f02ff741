"""Segments: of any bytes, only batches that were written, each in its place."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import pyarrow as pa

from ledger.ledger_disk import QuickDisk
from ledger.ledger_rows import RUN, answer, dead, put, run_directory
from penstock.errors import LedgerError
from penstock.ledger.mark import ShardMark
from penstock.ledger.sealing import seal
from penstock.ledger.segment_reader import SegmentReader, read_batch
from penstock.record import Result

NAME: Final = "0001-0001-0000.arrow"

BATCHES: Final[tuple[list[Result], ...]] = (
    [answer(row) for row in range(5)],
    [answer(5, output="x" * 300), dead(6), answer(7, output=None, id=None)],
    [answer(8, output="\N{GRINNING FACE}")],
)


@cache
def written() -> tuple[bytes, bytes, tuple[pa.RecordBatch, ...]]:
    """A segment that was closed, one that was not, and what both hold."""
    with tempfile.TemporaryDirectory() as name:
        closed, torn = Path(name) / "closed", Path(name) / "torn"
        for path in (closed, torn):
            path.mkdir()
            put(
                run_directory(path),
                *BATCHES,
                close=path is closed,
                disk=QuickDisk(),
                shards=[ShardMark(0, 16, -3)],
            )
        paths = [next((path / "out.run" / "segments").iterdir()) for path in (closed, torn)]
        assert paths[0].name == NAME
        batches = tuple(found.batch for found in SegmentReader(paths[0], RUN))
        return paths[0].read_bytes(), paths[1].read_bytes(), batches


def seeds() -> Sequence[bytes]:
    return written()[:2]


def once(data: bytes, folder: Path) -> None:
    path = folder / NAME
    path.write_bytes(data)
    held = written()[2]
    reader = SegmentReader(path, RUN)
    found = list(reader)
    assert [one.batch for one in found] == list(held[: len(found)])
    assert len(found) == reader.batches
    if data == written()[0]:
        assert len(found) == len(held)
        assert not reader.is_torn
    for number, one in enumerate(found):
        assert read_batch(path, RUN, one.start_bytes, number) == one.batch
    check_sealed(path, found_rows=sum(one.batch.num_rows for one in found))


def check_sealed(path: Path, found_rows: int) -> None:
    """Sealing keeps what verifies."""
    try:
        seal(QuickDisk(), path, RUN)
    except LedgerError as error:
        assert str(path) in error.what
        return
    sealed = SegmentReader(path, RUN)
    rows = sum(one.batch.num_rows for one in sealed) if path.exists() else 0
    assert rows == found_rows
    assert not path.exists() or not sealed.is_torn
