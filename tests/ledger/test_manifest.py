"""The manifest: no secrets, no other format, no other job."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ledger.ledger_manifest import JOB, manifest
from ledger.ledger_rows import run_directory
from penstock.disk import Disk
from penstock.errors import RunDirectoryError
from penstock.job import identity
from penstock.ledger.manifest import check_identity, compare, decode, public_job
from penstock.ledger.run_directory import RunDirectory


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDirectory:
    return run_directory(tmp_path)


def test_no_secret_is_in_the_manifest(run_dir: RunDirectory) -> None:
    run_dir.create(Disk(), manifest())
    text = run_dir.manifest_path.read_text()
    assert "hunter2" not in text
    assert run_dir.manifest().job["header"] == {"X-Team": "env:TEAM", "Authorization": "***"}


def test_no_header_of_any_endpoint_is_in_the_manifest() -> None:
    tables = (
        {"base_url": "http://127.0.0.1:1/v1", "header": {"A": "hunter2", "B": "env:TEAM"}},
        {"base_url": "http://127.0.0.1:2/v1"},
    )
    public = public_job(msgspec.structs.replace(JOB, endpoints=tables))
    assert public["endpoints"][0]["header"] == {"A": "***", "B": "env:TEAM"}
    assert b"hunter2" not in msgspec.json.encode(public)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"format_version": 2}'])
def test_a_damaged_manifest_is_refused(run_dir: RunDirectory, content: bytes) -> None:
    run_dir.manifest_path.write_bytes(content)
    with pytest.raises(RunDirectoryError, match=r"run\.json can't be read"):
        run_dir.manifest()


def test_another_format_is_refused_by_its_number(run_dir: RunDirectory) -> None:
    run_dir.manifest_path.write_bytes(b'{"format_version": 1, "run_id": []}')
    with pytest.raises(RunDirectoryError, match="has format version 1; this Penstock reads ver"):
        run_dir.manifest()


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


@pytest.mark.parametrize("data", [b"[" * 5000, b'{"a":' * 5000, b'{"run_id": "\xff"}'])
def test_a_manifest_of_any_bytes_is_an_error_that_names_it(data: bytes) -> None:
    with pytest.raises(RunDirectoryError, match=r"run\.json can't be read"):
        decode(data, Path("run.json"))
