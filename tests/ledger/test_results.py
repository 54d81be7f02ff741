"""Results from Python: batches and figures, in input order."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from ledger.ledger_rows import RUN, answer, dead
from ledger.ledger_run import Run, json_lines
from penstock.disk import Disk
from penstock.errors import LedgerError
from penstock.ledger.copies import Copies
from penstock.ledger.results import figures_of, results
from penstock.ledger.summary import write_summary
from penstock.observe.report import Report

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    path = json_lines(tmp_path / "a.jsonl", ({"n": row} for row in range(6)))
    return Run(tmp_path, path)


def told(run: Run, rows_in: int | None) -> None:
    report = Report(exit_code=0, rows_in=rows_in, started_at=NOON, finished_at=NOON)
    write_summary(Disk(), run.run_dir.path, report)


def rows(run: Run, *, partial: bool = False) -> list[int]:
    batches = results(run.run_dir.path, partial=partial)
    return [row for batch in batches for row in batch["row"].to_pylist()]


def test_a_complete_run_gives_every_row_in_order(run: Run) -> None:
    run.put([answer(5), answer(0), dead(2)], [answer(1), answer(4), answer(3)])
    told(run, rows_in=6)
    assert rows(run) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("rows_in", [None, 6])
def test_a_run_that_is_not_complete_is_refused_unless_partial(run: Run, rows_in: int) -> None:
    run.put([answer(5), answer(0), dead(2)])
    told(run, rows_in)
    with pytest.raises(LedgerError):
        rows(run)
    assert rows(run, partial=True) == [0, 2, 5]


def test_a_run_whose_first_epoch_is_under_way_has_partial_results(run: Run) -> None:
    run.put([answer(1)], close=False)
    with pytest.raises(LedgerError, match="not complete"):
        rows(run)
    assert rows(run, partial=True) == [1]


def test_the_output_is_not_needed_nor_the_input(run: Run) -> None:
    run.put([answer(0)])
    (run.path / "a.jsonl").unlink()
    assert rows(run, partial=True) == [0]


def test_figures_count_each_row_once_by_the_copy_that_counts(run: Run) -> None:
    run.put([dead(0), answer(1)], [answer(1), answer(2)])
    run.put([answer(0, generation=1)], epoch=2)
    sums = figures_of(Copies(run.run_dir, RUN))
    assert (sums.rows, sums.succeeded, sums.failed, sums.duplicates) == (3, 3, 0, 1)
    assert sums.cost_usd == 0.75
