"""The run directory."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ledger.ledger_disk import RecordingDisk, dying_at
from ledger.ledger_manifest import manifest
from ledger.ledger_rows import answer, put, run_directory
from penstock.disk import Disk
from penstock.errors import LedgerError, RunDirectoryError
from penstock.ledger.mark import SegmentName
from penstock.ledger.run_directory import RunDirectory, move_aside


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDirectory:
    return run_directory(tmp_path)


def test_a_manifest_comes_back_as_it_was(run_dir: RunDirectory) -> None:
    made = msgspec.structs.replace(manifest(), identity={"param": {"temperature": 0}})
    assert not run_dir.exists()
    run_dir.create(Disk(), made)
    assert run_dir.exists()
    assert run_dir.manifest() == made
    grown = msgspec.structs.replace(made, shard_rows=32)
    run_dir.update(Disk(), grown)
    assert run_dir.manifest() == grown


@pytest.mark.parametrize("step", range(5))
def test_a_run_has_begun_wholly_or_not_at_all(run_dir: RunDirectory, step: int) -> None:
    with pytest.raises(LedgerError):
        run_dir.create(RecordingDisk(dying_at(step)), manifest())
    assert not run_dir.exists()
    run_dir.prepare(Disk())
    run_dir.create(Disk(), manifest())
    assert run_dir.exists()


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"is no run directory: it has no run\.json"):
        RunDirectory(tmp_path / "nothing").manifest()
    with pytest.raises(RunDirectoryError, match="is no run directory"):
        RunDirectory(Path(__file__)).manifest()


def test_a_directory_with_anything_else_in_it_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunDirectoryError, match=r"no run directory, but holds thesis\.tex"):
        RunDirectory(tmp_path).prepare(Disk())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_a_beginning_that_was_cut_off_left_is_taken(run_dir: RunDirectory) -> None:
    for name in ("run.json.new", "lock", "workers.json", "epoch", "log.jsonl"):
        (run_dir.path / name).touch()
    run_dir.prepare(Disk())


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(RunDirectoryError, match="Not a directory"):
        RunDirectory(tmp_path / "x").prepare(Disk())


def test_segments_are_listed_in_the_order_of_choice(run_dir: RunDirectory) -> None:
    put(run_dir, [answer(0)], epoch=2)
    put(run_dir, [answer(0)], worker=2)
    put(run_dir, [answer(0)], worker=1)
    (run_dir.segments / "0001-0001-0000.torn").touch()
    names = [SegmentName(1, 1, 0), SegmentName(1, 2, 0), SegmentName(2, 1, 0)]
    sizes = run_dir.segment_sizes()
    assert list(sizes) == names
    assert all(sizes[name] == run_dir.segment_path(name).stat().st_size for name in names)


def test_moving_aside_keeps_all_that_was_moved_before(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        run_dir = run_directory(tmp_path)
        run_dir.create(Disk(), manifest())
        names.append(move_aside(Disk(), run_dir.path).name)
    assert names == ["out.run.1", "out.run.2", "out.run.3"]
    assert all(RunDirectory(tmp_path / name).exists() for name in names)
    assert not run_dir.path.exists()


def test_the_folders_above_a_new_run_directory_are_durable_too(tmp_path: Path) -> None:
    disk = RecordingDisk()
    RunDirectory(tmp_path / "deep" / "er" / "out.run").prepare(disk)
    assert disk.steps[:3] == ["fsync er", "fsync deep", f"fsync {tmp_path.name}"]


def test_a_run_that_begins_and_one_that_is_moved_aside_have_their_names_for_good(
    run_dir: RunDirectory,
) -> None:
    disk, folder = RecordingDisk(), run_dir.path.parent.name
    run_dir.create(disk, manifest())
    assert disk.steps[-1] == f"fsync {folder}"
    disk.steps.clear()
    aside = move_aside(disk, run_dir.path)
    assert disk.steps == [f"rename {aside.name}", f"fsync {folder}"]
