"""Redos on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger.ledger_disk import RecordingDisk
from ledger.ledger_rows import RUN, run_directory
from penstock.disk import Disk
from penstock.errors import LedgerError
from penstock.ledger.generation import (
    Generation,
    asked_again,
    begin_redo,
    read_generations,
    unfinished,
)
from penstock.ledger.rows import RowSet
from penstock.ledger.run_directory import RunDirectory

ROWS = RowSet([(3, 5), (9, 10)])


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDirectory:
    return run_directory(tmp_path)


def begin(run_dir: RunDirectory, rows: RowSet = ROWS) -> Generation:
    return begin_redo(Disk(), run_dir, RUN, rows, {"model": "m"}, "2026-01-01T00:00:00Z")


def test_redos_are_found_again_in_their_order(run_dir: RunDirectory) -> None:
    assert read_generations(run_dir, RUN) == []
    begun = [begin(run_dir, RowSet([(number, number + 1)])) for number in range(11)]
    assert [one.number for one in begun] == list(range(1, 12))
    assert read_generations(run_dir, RUN) == begun


def test_a_redo_is_durable_when_it_has_begun(run_dir: RunDirectory) -> None:
    disk = RecordingDisk()
    begin_redo(disk, run_dir, RUN, ROWS, {}, "")
    assert disk.steps[-3:] == ["fsync 1.arrow.new", "rename 1.arrow", "fsync generations"]


def test_a_redo_is_finished_when_its_rows_are_done_in_it(run_dir: RunDirectory) -> None:
    redo = begin(run_dir)
    assert unfinished([redo], {0: RowSet([(0, 99)])}) == redo
    assert unfinished([redo], {1: RowSet([(3, 9)])}) == redo
    assert unfinished([redo], {1: RowSet([(3, 10)])}) is None
    assert unfinished([], {}) is None
    newer = begin(run_dir)
    assert unfinished([redo, newer], {}) == newer
    assert unfinished([redo, newer], {2: RowSet([(3, 10)])}) == redo


def test_the_rows_of_all_redos_are_those_asked_again(run_dir: RunDirectory) -> None:
    redos = [begin(run_dir), begin(run_dir, RowSet([(4, 6)]))]
    assert list(asked_again(redos)) == [3, 4, 5, 9]


def test_a_redo_that_can_not_be_trusted_is_an_error(run_dir: RunDirectory) -> None:
    begin(run_dir)
    path = run_dir.generations / "1.arrow"
    with pytest.raises(LedgerError, match=r"1\.arrow is damaged, or of another run"):
        read_generations(run_dir, "other")
    path.rename(path.with_name("2.arrow"))
    with pytest.raises(LedgerError, match=r"2\.arrow is damaged"):
        read_generations(run_dir, RUN)
    path.with_name("2.arrow").rename(path)
    os.truncate(path, path.stat().st_size - 20)
    with pytest.raises(LedgerError, match=r"1\.arrow is damaged"):
        read_generations(run_dir, RUN)
