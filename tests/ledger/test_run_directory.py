"""The run directory and its manifest."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ledger.ledger_disk import RecordingDisk, dying_at
from ledger.ledger_rows import answer, put, run_directory
from penstock.errors import LedgerError, RunDirectoryError
from penstock.job import Job, identity
from penstock.ledger.disk import Disk
from penstock.ledger.mark import SegmentName
from penstock.ledger.run_directory import (
    Manifest,
    RunDirectory,
    check_identity,
    compare,
    move_aside,
    public_job,
)
from penstock.sources.frozen import FrozenInput
from penstock.sources.schema import InputSchema

JOB = Job(
    inputs=("a.jsonl",),
    output="out.parquet",
    model="m",
    prompt="{{ text }}",
    param={"temperature": 0},
    header={"X-Team": "env:TEAM", "Authorization": "Bearer hunter2"},
)


def manifest(**changes: object) -> Manifest:
    values: dict[str, object] = {
        "run_id": "5eed",
        "created_at": "2026-01-01T00:00:00Z",
        "penstock_version": "0",
        "identity": identity(JOB),
        "job": public_job(JOB),
        "inputs": [FrozenInput("a.jsonl", "jsonl", "", 10, "ab", cuts=(4,))],
        "input_schema": InputSchema(),
        "output_schema": [("row", "int64")],
        "shard_rows": 64,
    }
    return Manifest(**(values | changes))  # type: ignore[arg-type]


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


def test_no_secret_is_in_the_manifest(run_dir: RunDirectory) -> None:
    run_dir.create(Disk(), manifest())
    text = run_dir.manifest_path.read_text()
    assert "hunter2" not in text
    assert run_dir.manifest().job["header"] == {"X-Team": "env:TEAM", "Authorization": "***"}


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"is no run directory: it has no run\.json"):
        RunDirectory(tmp_path / "nothing").manifest()
    with pytest.raises(RunDirectoryError, match="is no run directory"):
        RunDirectory(Path(__file__)).manifest()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"format_version": 1}'])
def test_a_damaged_manifest_is_refused(run_dir: RunDirectory, content: bytes) -> None:
    run_dir.manifest_path.write_bytes(content)
    with pytest.raises(RunDirectoryError, match=r"run\.json can't be read"):
        run_dir.manifest()


def test_another_format_is_refused_by_its_number(run_dir: RunDirectory) -> None:
    run_dir.manifest_path.write_bytes(b'{"format_version": 2, "run_id": []}')
    with pytest.raises(RunDirectoryError, match="has format version 2; this Penstock reads ver"):
        run_dir.manifest()


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


def test_the_same_job_may_resume_after_a_round_through_json(run_dir: RunDirectory) -> None:
    run_dir.create(Disk(), manifest())
    check_identity(run_dir.manifest(), identity(JOB), run_dir.path)


def test_another_job_is_refused_with_every_difference_named() -> None:
    other = msgspec.structs.replace(JOB, model="n", param={"temperature": 1})
    with pytest.raises(RunDirectoryError) as caught:
        check_identity(manifest(), identity(other), Path("out.run"))
    assert caught.value.what.splitlines() == [
        "out.run holds the run of another job:",
        '  model: "m" became "n"',
        '  param: {"temperature":0} became {"temperature":1}',
    ]
    assert "--fresh" in caught.value.next_step


def test_of_a_long_text_the_place_of_the_difference_is_shown() -> None:
    one, two = "x" * 5000 + "cats" + "y" * 500, "x" * 5000 + "dogs" + "y" * 500
    (line,) = compare({"prompt": one}, {"prompt": two})
    assert "cats" in line
    assert "dogs" in line
    assert len(line) < 200


def test_a_key_that_only_one_side_has_is_a_difference() -> None:
    assert compare({"a": 1}, {"b": 2}) == ["a: 1 became null", "b: null became 2"]
    assert compare({"a": None, "c": (1,)}, {"c": [1]}) == []


def test_a_run_whose_segments_have_another_schema_is_refused(run_dir: RunDirectory) -> None:
    run_dir.create(Disk(), manifest(result_schema="0123456789abcdef"))
    with pytest.raises(
        RunDirectoryError, match=r"run\.json: the run's segments have other columns"
    ):
        run_dir.manifest()


def test_the_folders_above_a_new_run_directory_are_durable_too(tmp_path: Path) -> None:
    disk = RecordingDisk()
    RunDirectory(tmp_path / "deep" / "er" / "out.run").prepare(disk)
    assert disk.steps[:3] == ["fsync er", "fsync deep", f"fsync {tmp_path.name}"]
