"""Epochs: never the same twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.ledger_disk import RecordingDisk
from ledger.ledger_rows import run_directory
from penstock.disk import Disk
from penstock.ledger.epoch import begin_epoch, recorded_epoch
from penstock.ledger.run_directory import RunDirectory


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDirectory:
    return run_directory(tmp_path)


def test_each_supervisor_gets_the_next_number(run_dir: RunDirectory) -> None:
    assert [begin_epoch(Disk(), run_dir) for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("content", [None, b"", b"garbage", b"\xff\xfe", b"-4", b"3\n"])
def test_a_lost_number_is_found_again_in_the_names_of_segments(
    run_dir: RunDirectory, content: bytes | None
) -> None:
    if content is not None:
        run_dir.epoch_path.write_bytes(content)
    for name in ("0009-0001-0000.arrow", "0012-0001-0000.torn", "notes.txt"):
        (run_dir.segments / name).touch()
    assert begin_epoch(Disk(), run_dir) == 13


def test_a_number_is_durable_when_it_is_given(run_dir: RunDirectory) -> None:
    disk = RecordingDisk()
    begin_epoch(disk, run_dir)
    assert disk.steps[-3:] == ["fsync epoch.new", "rename epoch", "fsync out.run"]


def test_an_epoch_of_endless_digits_counts_as_none(tmp_path: Path) -> None:
    run_dir = RunDirectory(tmp_path)
    run_dir.epoch_path.write_bytes(b"9" * 5000)
    assert recorded_epoch(run_dir) == 0
