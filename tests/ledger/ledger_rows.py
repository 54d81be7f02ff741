"""Results and segments for tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from penstock.disk import Disk
from penstock.ledger.mark import ShardMark
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.schema import batch_of
from penstock.ledger.segment import SegmentWriter
from penstock.ledger.written import Written
from penstock.record import FAILED, SUCCEEDED, Result

RUN = "5eed"


def answer(row: int, **changes: object) -> Result:
    """A row that succeeded."""
    values: dict[str, object] = {
        "row": row,
        "id": f"r-{row}",
        "outcome": SUCCEEDED,
        "output": f"answer {row}",
        "input_tokens": 10,
        "output_tokens": row % 7,
        "cost_usd": 0.25,
        "attempts": 1,
        "finished_at": 1_700_000_000_000_000 + row,
    }
    return Result(**(values | changes))  # type: ignore[arg-type]


def dead(row: int, error_class: str = "invalid_request", **changes: object) -> Result:
    """A row that failed for good."""
    values: dict[str, object] = {
        "outcome": FAILED,
        "output": None,
        "output_tokens": None,
        "cost_usd": None,
        "error_class": error_class,
        "error_message": "no",
    }
    return answer(row, **(values | changes))


def run_directory(path: Path) -> RunDirectory:
    """A run directory that is prepared, without a manifest."""
    run_dir = RunDirectory(path / "out.run")
    run_dir.prepare(Disk())
    return run_dir


def put(
    run_dir: RunDirectory,
    *batches: Iterable[Result],
    epoch: int = 1,
    worker: int = 1,
    close: bool = True,
    disk: Disk | None = None,
    shards: Sequence[ShardMark] = (),
) -> list[Written]:
    """A worker's segments with these batches; without `close`, without a footer."""
    writer = SegmentWriter(disk or Disk(), run_dir.segments, RUN, epoch, worker)
    for results in batches:
        writer.write(batch_of(list(results)), shards)
    return writer.close() if close else writer.sync()
