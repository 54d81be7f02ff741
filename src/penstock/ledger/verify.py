"""Verification: every segment read whole, and what is found compared with what was ever told.

A torn tail, pending rows and rows bought twice are told, and are no fault: a crash leaves them. A
problem is what no crash explains: something that was durable, and counted, is not there any more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from penstock.ledger.checkpoint import Checkpoint, read_checkpoint
from penstock.ledger.copies import Copies, SegmentState
from penstock.ledger.figures import Figures
from penstock.ledger.generation import read_generations
from penstock.ledger.results import figures_of
from penstock.ledger.rows import RowSet
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.segment_reader import VerifiedBatch
from penstock.ledger.summary import read_summary
from penstock.ledger.written import int64s
from penstock.observe.report import Report

SHOWN_RANGES: Final = 10


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a run's ledger holds, and what is wrong with it."""

    run_id: str
    segments: list[SegmentState]
    figures: Figures  # of the copies that count
    generations: dict[int, int]  # rows done in each
    missing: list[tuple[int, int]]  # the first ranges without a copy, each without its end
    rows_in: int | None  # as the newest summary tells; None: the input's end was not reached
    problems: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


class Found(msgspec.Struct):
    """What is in a ledger, and what it says of itself elsewhere."""

    copies: Copies
    done: dict[int, RowSet]  # by generation
    figures: Figures
    checkpoint: Checkpoint | None
    summary: Report | None

    def rows(self) -> RowSet:
        """The rows with a verified copy."""
        union = RowSet()
        for rows in self.done.values():
            union.update(rows)
        return union


def verify(run_dir: Path) -> VerifyReport:
    """Reads every segment of a run, live or not, and changes nothing.

    Raises RunDirectoryError where there is no run, and LedgerError where the disk can't be read or
    a redo's rows are lost; what is wrong otherwise is among the report's problems.
    """
    directory = RunDirectory(run_dir)
    run_id = directory.manifest().run_id
    read_generations(directory, run_id)
    found = find(directory, run_id)
    rows, summary = found.rows(), found.summary
    rows_in = summary.rows_in if summary is not None else None
    end = rows_in if rows_in is not None else found.copies.end
    return VerifyReport(
        run_id=run_id,
        segments=found.copies.segments,
        figures=found.figures,
        generations={number: len(done) for number, done in sorted(found.done.items())},
        missing=list(islice(rows.missing(0, end), SHOWN_RANGES)),
        rows_in=rows_in,
        problems=[*checkpoint_problems(found), *summary_problems(found)],
    )


def find(run_dir: RunDirectory, run_id: str) -> Found:
    """Reads all that there is."""
    # Before the segments: what a live run adds meanwhile must not look lost.
    checkpoint = read_checkpoint(run_dir, run_id)
    summary = read_summary(run_dir.path)
    done: dict[int, RowSet] = defaultdict(RowSet)

    def seen(batch: VerifiedBatch) -> None:
        done[batch.mark.generation].add_many(int64s(batch.batch["row"]))

    copies = Copies(run_dir, run_id, seen)
    return Found(copies, dict(done), figures_of(copies), checkpoint, summary)


def checkpoint_problems(found: Found) -> Iterator[str]:
    """What the checkpoint counted, and is not there."""
    if found.checkpoint is None:
        return
    states = {state.name: state for state in found.copies.segments}
    for name, length in found.checkpoint.segments.items():
        state = states.get(str(name))
        if state is None:
            yield f"segment {name} is missing; the checkpoint counts {length.batches} batches of it"
        elif state.batches < length.batches:
            yield (
                f"segment {name}: {state.batches} of {length.batches} batches verify that the "
                "checkpoint counts"
            )
    for generation, counted in found.checkpoint.done.items():
        done = found.done.get(generation, RowSet())
        lost = [part for given in counted.ranges() for part in done.missing(*given)]
        if lost:
            count = sum(end - start for start, end in lost)
            yield (
                f"generation {generation}: {count} rows are lost that the checkpoint counts, the "
                f"first is row {lost[0][0]}"
            )


def summary_problems(found: Found) -> Iterator[str]:
    """What the newest summary told, and is not there."""
    told, figures = found.summary, found.figures
    if told is None:
        return
    if figures.rows < told.succeeded + told.failed:
        yield (
            f"{figures.rows} rows have a result; the summary of {told.finished_at:%Y-%m-%d %H:%M} "
            f"told {told.succeeded + told.failed}"
        )
    if told.pending == 0 and told.rows_in is not None:
        first = next(found.rows().missing(0, told.rows_in), None)
        if first is not None:
            yield f"row {first[0]} has no result, though the run was complete"
