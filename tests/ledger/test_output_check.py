"""An output that is in the way, or in a wrong place, is refused before the first request."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.disk import Disk
from penstock.errors import EXIT_USAGE, OutputError
from penstock.ledger.output_check import check_output, failed_output
from penstock.ledger.published import fingerprint, remember


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "o.jsonl"


@pytest.fixture
def run_dir(output: Path) -> Path:
    path = output.with_name("o.jsonl.run")
    path.mkdir()
    return path


def refusal(output: Path, run_dir: Path, *inputs: str, overwrite: bool = False) -> str:
    with pytest.raises(OutputError) as caught:
        check_output(output, run_dir, inputs, overwrite=overwrite)
    assert caught.value.exit_code == EXIT_USAGE
    assert caught.value.next_step
    return caught.value.what


def test_a_new_output_in_a_folder_of_its_own_is_fine(output: Path, run_dir: Path) -> None:
    check_output(output, run_dir, ["-", str(output.parent.parent / "in" / "*.jsonl")])
    assert list(output.parent.iterdir()) == [run_dir]


def test_a_file_of_another_is_not_replaced(output: Path, run_dir: Path) -> None:
    output.write_bytes(b"mine")
    assert "did not make it" in refusal(output, run_dir)
    check_output(output, run_dir, [], overwrite=True)


def test_nor_is_a_file_that_stands_where_the_dead_letters_go(output: Path, run_dir: Path) -> None:
    failed_output(output).write_bytes(b"mine")
    assert "o.jsonl.failed.jsonl" in refusal(output, run_dir)


def test_what_this_run_made_is_replaced_unasked(output: Path, run_dir: Path) -> None:
    for made in (output, failed_output(output)):
        made.write_bytes(b"ours")
        remember(Disk(), run_dir, fingerprint(made, made.name))
    check_output(output, run_dir, [])


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_inside_an_input_directory_is_refused(
    output: Path, run_dir: Path, overwrite: bool
) -> None:
    for given in (output.parent, output.parent.parent):
        assert "inside the input" in refusal(output, run_dir, str(given), overwrite=overwrite)


@pytest.mark.parametrize("pattern", ["out/*.jsonl", "out/o.*", "*/*", "**/*.jsonl"])
def test_an_output_that_a_glob_of_the_inputs_would_find_is_refused(
    output: Path, run_dir: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(output.parent.parent)
    assert "would match" in refusal(output, run_dir, pattern)
    assert "would match" in refusal(output, run_dir, str(output.parent.parent / pattern))


def test_dead_letters_that_a_glob_would_find_are_refused(output: Path, run_dir: Path) -> None:
    table = output.with_name("o.parquet")
    assert "o.parquet.failed.jsonl" in refusal(table, run_dir, str(output.parent / "*.jsonl"))


def test_a_glob_of_other_folders_or_names_is_fine(output: Path, run_dir: Path) -> None:
    check_output(output, run_dir, [str(output.parent / "*.csv"), str(output.parent.parent / "*")])


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_input_is_never_an_output(output: Path, run_dir: Path, overwrite: bool) -> None:
    output.write_bytes(b"mine")
    link = output.with_name("link.jsonl")
    link.symlink_to(output)
    assert "is an input" in refusal(link, run_dir, str(output), overwrite=overwrite)


def test_an_output_inside_the_run_directory_is_refused(run_dir: Path) -> None:
    assert "inside the run directory" in refusal(run_dir / "o.jsonl", run_dir)
    link = run_dir.with_name("link")
    link.symlink_to(run_dir)
    assert "inside the run directory" in refusal(link / "o.jsonl", run_dir)


def test_an_unknown_suffix_a_missing_folder_and_a_folder_are_refused(
    output: Path, run_dir: Path
) -> None:
    assert "suffix" in refusal(output.with_suffix(".xlsx"), run_dir)
    assert "no folder" in refusal(output.parent / "missing" / "o.jsonl", run_dir)
    (output.parent / "folder.csv").mkdir()
    assert "is a folder" in refusal(output.parent / "folder.csv", run_dir)


def test_what_is_no_regular_file_is_refused(output: Path, run_dir: Path) -> None:
    os.mkfifo(output)
    assert "regular" in refusal(output, run_dir, overwrite=True)


def test_a_folder_without_permission_is_refused(
    output: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not by chmod: root may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "no permission" in refusal(output, run_dir)
