"""How far a run is, whatever state it is in."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger_rows import answer, dead
from ledger.ledger_run import Run
from penstock.cli import survey
from penstock.cli.survey import Redo, Status, is_held, read_status, state_of
from penstock.disk import Disk
from penstock.errors import RunDirectoryError
from penstock.ledger.checkpoint import write_checkpoint
from penstock.ledger.generation import begin_redo
from penstock.ledger.lock import RunLock
from penstock.ledger.recovery import recover
from penstock.ledger.rows import RowSet
from penstock.ledger.spending import Spending, write_spending
from penstock.ledger.summary import write_summary
from penstock.observe.report import Report

NOW = 1_800_000_000.0


def status_of(run: Run) -> Status:
    return read_status(run.run_dir.path, NOW)


def report(**values: Any) -> Report:
    then = datetime(2026, 3, 1, tzinfo=UTC)
    return Report(exit_code=4, started_at=then, finished_at=then, **values)


def test_a_run_that_was_killed_tells_what_its_ledger_holds(stopped: Run) -> None:
    found = status_of(stopped)
    assert (found.state, found.pid) == ("stopped", None)
    assert (found.rows_in, found.succeeded, found.failed, found.pending) == (10, 5, 1, 4)
    assert found.failed_by_class == {"timeout": 1}
    assert found.tokens["uncached_input"] == 60 and found.tokens["visible_output"] == 10
    assert (found.message, found.resume_command) == ("", "")
    assert found.checkpoint_age_seconds is None and found.output_bytes is None


def test_a_complete_run_is_complete(complete: Run) -> None:
    found = status_of(complete)
    assert (found.state, found.pending, found.output_bytes) == ("complete", 0, None)


def test_nothing_is_changed_by_looking(stopped: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in stopped.run_dir.path.rglob("*")}
    status_of(stopped)
    assert {path: path.stat().st_mtime_ns for path in stopped.run_dir.path.rglob("*")} == before


def test_a_held_lock_means_running_and_names_the_supervisor(stopped: Run) -> None:
    assert not is_held(stopped.run_dir.lock_path)
    lock = RunLock.acquire(Disk(), stopped.run_dir)
    try:
        found = status_of(stopped)
        assert found.state == "running" and found.pid is not None
        assert found.pid == survey.supervisor_of(stopped.run_dir)
    finally:
        lock.release()
    assert not is_held(stopped.run_dir.lock_path)
    assert status_of(stopped).state == "stopped"


def test_what_workers_were_granted_counts_as_spent_only_once_they_are_dead(stopped: Run) -> None:
    run_id = stopped.run_dir.manifest().run_id
    spending = Spending(run_id, beyond_rows=10**11, at_most=9 * 10**12)
    write_spending(Disk(), stopped.run_dir, spending)
    lock = RunLock.acquire(Disk(), stopped.run_dir)
    try:
        assert status_of(stopped).cost_usd == 1.25 + 0.1
    finally:
        lock.release()
    assert status_of(stopped).cost_usd == 9.0


def test_a_lock_that_outlived_its_supervisor_names_nobody(
    stopped: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = RunLock.acquire(Disk(), stopped.run_dir)
    monkeypatch.setattr(survey, "is_alive", lambda process: False)
    try:
        assert (status_of(stopped).state, status_of(stopped).pid) == ("running", None)
    finally:
        lock.release()


def test_a_summary_says_why_only_if_no_row_ended_after_it(stopped: Run) -> None:
    told = report(succeeded=5, failed=1, rows_in=10, message="quota is gone", next_step="Raise it")
    told.resume_command = "penstock run"
    write_summary(Disk(), stopped.run_dir.path, told)
    found = status_of(stopped)
    assert (found.message, found.next_step) == ("quota is gone", "Raise it")
    assert found.resume_command == "penstock run"
    stopped.put([answer(6)], worker=2)
    found = status_of(stopped)
    assert (found.message, found.next_step, found.pending) == ("", "", 3)
    assert found.resume_command == "penstock run"


def test_the_rows_of_a_stopped_run_come_from_its_summary(stopped: Run, ten_rows: Path) -> None:
    ten_rows.unlink()
    assert (status_of(stopped).rows_in, status_of(stopped).pending) == (None, None)
    write_summary(Disk(), stopped.run_dir.path, report(succeeded=5, failed=1, rows_in=10))
    assert status_of(stopped).pending == 4


def test_rows_beyond_the_limit_are_not_pending(tmp_path: Path, ten_rows: Path) -> None:
    run = Run(tmp_path, ten_rows, output="out.csv", limit=3)
    run.put([answer(0)])
    assert (status_of(run).rows_in, status_of(run).pending) == (3, 2)


def test_counting_a_long_input_is_given_up(stopped: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class AtOnce:
        def __init__(self, seconds: float, stop: Callable[[], None]) -> None:
            self.start = stop

        def cancel(self) -> None:
            pass

    monkeypatch.setattr(threading, "Timer", AtOnce)
    assert status_of(stopped).rows_in is None


def test_the_age_of_the_checkpoint_is_told(stopped: Run) -> None:
    disk, directory, run_id = Disk(), stopped.run_dir, stopped.run_dir.manifest().run_id
    account = recover(disk, directory, run_id).account
    checkpoint = account.checkpoint(
        run_id=run_id, epoch=1, generation=0, written_at=NOW - 12, cursor=None
    )
    write_checkpoint(disk, directory, checkpoint)
    assert status_of(stopped).checkpoint_age_seconds == 12


def test_an_unfinished_redo_is_told_and_keeps_a_run_from_being_complete(complete: Run) -> None:
    disk, directory, run_id = Disk(), complete.run_dir, complete.run_dir.manifest().run_id
    begin_redo(disk, directory, run_id, RowSet([(4, 6)]), {}, "2026-03-02")
    found = status_of(complete)
    assert (found.state, found.pending) == ("stopped", 0)
    assert found.redo == Redo(1, "2026-03-02", rows=2, left=2)


def test_a_torn_segment_is_told_of_a_stopped_run(stopped: Run) -> None:
    stopped.put([dead(6)], worker=2, close=False)
    assert status_of(stopped).torn_segments == 1


def test_the_output_is_looked_for_beside_a_run_directory_named_after_it(
    tmp_path: Path, complete: Run
) -> None:
    complete.export("out.jsonl")
    assert status_of(complete).output_is_ours
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.move(tmp_path / "out.jsonl", moved)
    # A run directory called `out.run` is not named after `out.jsonl`.
    assert status_of(complete).output_bytes is None
    shutil.move(complete.run_dir.path, moved / "out.jsonl.run")
    found = read_status(moved / "out.jsonl.run", NOW)
    assert found.output == str(moved / "out.jsonl")
    assert found.output_is_ours and found.output_bytes == (moved / "out.jsonl").stat().st_size


def test_another_file_in_the_outputs_place_is_not_this_runs(tmp_path: Path, complete: Run) -> None:
    (tmp_path / "out.jsonl").write_text("another's")
    found = status_of(complete)
    assert (found.output_bytes, found.output_is_ours) == (9, False)


def test_a_run_directory_may_be_called_a_dot(
    complete: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(complete.run_dir.path)
    assert read_status(Path(), NOW).state == "complete"


def test_what_is_no_run_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"has no run\.json"):
        read_status(tmp_path, NOW)


def test_a_state_in_a_word() -> None:
    redo = Redo(1, "", 1, 1)
    assert state_of(running=True, pending=0, redo=None) == "running"
    assert state_of(running=False, pending=0, redo=None) == "complete"
    assert state_of(running=False, pending=0, redo=redo) == "stopped"
    assert state_of(running=False, pending=None, redo=None) == "stopped"
