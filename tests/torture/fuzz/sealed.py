"""Checkpoints and the rows of a redo: what was written, or nothing at all.

The first byte chooses which; even: a checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ledger.ledger_rows import RUN
from penstock.errors import LedgerError
from penstock.ledger import checkpoint, generation
from penstock.ledger.checkpoint import Checkpoint, VerifiedLength
from penstock.ledger.generation import Generation
from penstock.ledger.mark import SegmentName, ShardMark
from penstock.ledger.rows import RowSet
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.written import Spent
from penstock.sources.shard import Cursor

CHECKPOINT: Final = Checkpoint(
    run_id=RUN,
    epoch=3,
    generation=1,
    written_at=1.5,
    cursor=Cursor(0, 64, 4096, 65),
    spent=Spent(1, 2, 3, 4, 0.5, 6),
    duplicates=0,
    done={0: RowSet([(0, 900), (1000, 1001)]), 1: RowSet([(5, 7)])},
    failed={"timeout": RowSet([(3, 4)])},
    shards=[ShardMark(64, 32, -7)],
    segments={SegmentName(1, 2, 3): VerifiedLength(4096, 7)},
)
REDO: Final = Generation(1, "2026-01-01T00:00:00Z", {"model": "m"}, RowSet([(2, 5), (9, 10)]))


def seeds() -> Sequence[bytes]:
    return [b"\0" + checkpoint.encode(CHECKPOINT), b"\1" + generation.encode(REDO, RUN)]


def once(data: bytes, folder: Path) -> None:
    if data and data[0] % 2:
        read_redo(data[1:], folder / "1.arrow")
    else:
        read_checkpoint(data[1:], RunDirectory(folder))


def read_checkpoint(data: bytes, run_dir: RunDirectory) -> None:
    run_dir.checkpoint_path.write_bytes(data)
    found = checkpoint.read_checkpoint(run_dir, RUN)
    assert found is None or checkpoint.encode(found) == checkpoint.encode(CHECKPOINT)


def read_redo(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    try:
        found = generation.read_generation(path, 1, RUN)
    except LedgerError as error:
        assert str(path) in error.what
        return
    assert generation.encode(found, RUN) == generation.encode(REDO, RUN)
