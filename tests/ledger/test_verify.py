"""Verification finds what no crash explains, and calls nothing else a problem."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from ledger.ledger_rows import RUN, answer, dead
from ledger.ledger_run import Run, json_lines
from penstock.disk import Disk
from penstock.errors import LedgerError, RunDirectoryError
from penstock.ledger.account import Account
from penstock.ledger.checkpoint import write_checkpoint
from penstock.ledger.generation import begin_redo
from penstock.ledger.recovery import survey
from penstock.ledger.rows import RowSet
from penstock.ledger.summary import write_summary
from penstock.ledger.verify import verify
from penstock.observe.report import Report

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
FIRST = "0001-0001-0000.arrow"
SECOND = "0001-0002-0000.arrow"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A complete run of six rows in two segments."""
    path = json_lines(tmp_path / "a.jsonl", ({"n": row} for row in range(6)))
    run = Run(tmp_path, path)
    run.put([answer(5), answer(0), dead(2)], [answer(1), answer(4), answer(3)])
    return run


def account_of(run: Run) -> Account:
    return survey(run.run_dir, RUN).account


def write_down(run: Run, pending: int = 0) -> None:
    """A checkpoint and a summary of what is there."""
    account = account_of(run)
    checkpoint = account.checkpoint(run_id=RUN, epoch=1, generation=0, written_at=0.0, cursor=None)
    write_checkpoint(Disk(), run.run_dir, checkpoint)
    report = Report(
        exit_code=3,
        rows_in=6,
        succeeded=account.succeeded,
        failed=account.ended - account.succeeded,
        pending=pending,
        started_at=NOON,
        finished_at=NOON,
    )
    write_summary(Disk(), run.run_dir.path, report)


def test_a_complete_run_is_as_it_was_told(run: Run) -> None:
    write_down(run)
    report = verify(run.run_dir.path)
    assert report.problems == []
    assert report.ok
    assert (report.figures.rows, report.figures.failed, report.missing) == (6, 1, [])
    assert [(one.name, one.batches, one.is_torn) for one in report.segments] == [
        (FIRST, 1, False),
        (SECOND, 1, False),
    ]
    assert report.generations == {0: 6}


def test_a_torn_tail_and_pending_rows_and_duplicates_are_no_problem(run: Run) -> None:
    path = run.run_dir.segments / SECOND
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    run.put([answer(0)], epoch=2)
    report = verify(run.run_dir.path)
    assert report.ok
    assert [one.is_torn for one in report.segments] == [False, True, False]
    assert report.figures.duplicates == 1
    assert report.missing == [(1, 2), (3, 5)]


def test_a_lost_segment_is_a_problem(run: Run) -> None:
    write_down(run)
    (run.run_dir.segments / SECOND).unlink()
    report = verify(run.run_dir.path)
    assert not report.ok
    assert f"segment {SECOND} is missing" in report.problems[0]
    assert "3 rows are lost" in report.problems[1]
    assert "first is row 1" in report.problems[1]
    assert any("3 rows have a result" in problem for problem in report.problems)
    assert any("row 1 has no result" in problem for problem in report.problems)


def test_a_flipped_bit_in_what_was_counted_is_a_problem(run: Run) -> None:
    write_down(run)
    path = run.run_dir.segments / FIRST
    data = bytearray(path.read_bytes())
    data[data.index(b"answer 0")] ^= 1
    path.write_bytes(data)
    report = verify(run.run_dir.path)
    assert "0 of 1 batches verify" in report.problems[0]


def test_rows_pending_at_the_last_stop_are_no_problem(run: Run) -> None:
    (run.run_dir.segments / SECOND).unlink()
    write_down(run, pending=3)
    report = verify(run.run_dir.path)
    assert report.ok
    assert report.missing == [(1, 2), (3, 5)]


def test_it_changes_nothing(run: Run) -> None:
    write_down(run)
    path = run.run_dir.segments / SECOND
    path.write_bytes(path.read_bytes()[:-9])

    def everything() -> dict[Path, tuple[int, bytes]]:
        files = (path for path in run.path.rglob("*") if path.is_file())
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = everything()
    verify(run.run_dir.path)
    assert everything() == before


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError):
        verify(tmp_path)


def test_a_lost_dead_letter_is_missed_too(run: Run) -> None:
    write_down(run)
    run.run_dir.checkpoint_path.unlink()
    (run.run_dir.segments / FIRST).unlink()
    run.put([answer(5), answer(0)], epoch=2)
    (problem, *_) = verify(run.run_dir.path).problems
    assert "5 rows have a result" in problem
    assert "told 6" in problem


def test_a_redo_whose_rows_are_lost_is_an_error(run: Run) -> None:
    begin_redo(Disk(), run.run_dir, RUN, RowSet([(2, 3)]), {}, "")
    assert verify(run.run_dir.path).ok
    (path,) = run.run_dir.generations.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(LedgerError, match=r"1\.arrow is damaged"):
        verify(run.run_dir.path)
