from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

import penstock.api
import penstock.engine.redo
from cli.conftest import Penstock
from ledger.ledger_run import Run
from penstock.cli.redo import read_named, with_headers
from penstock.engine.redo import Named
from penstock.errors import UsageError
from penstock.job import Job
from penstock.ledger.generation import Generation
from penstock.ledger.rows import RowSet


@pytest.fixture
def place(complete: Run) -> Path:
    """The run directory of a complete run."""
    return complete.run_dir.path


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the engine is told to begin by a command, and to run after it."""
    found: dict[str, Any] = {}

    def begin(run_directory: Path, **how: Any) -> tuple[Job, Generation]:
        found.update(how, run_directory=run_directory)
        job = Job(inputs=("in.jsonl",), json=True, progress="off", rpm=7)
        return job, Generation(2, "2026-03-02", {}, RowSet([(3, 5)]))

    def show_run(job: Job, command: str, explicit: Collection[str]) -> int:
        found.update(job=job, command=command, explicit=explicit)
        return 3

    monkeypatch.setattr(penstock.engine.redo, "begin", begin)
    monkeypatch.setattr(penstock.api, "show_run", show_run)
    return found


def test_rows_are_chosen_by_class_and_by_number(
    penstock: Penstock, begun: dict[str, Any], place: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.txt"
    rows.write_text("3\n7\n")
    found = penstock("redo", place, "--only", "timeout, server_error", "--rows", rows)
    assert (found.code, found.out) == (3, "")
    assert found.err == "redo 2: 2 rows are asked again\n"
    assert begun["run_directory"] == place
    assert begun["only"] == ["timeout", "server_error"]
    assert begun["named"] == Named("row", [3, 7])
    assert begun["job"].run_dir == str(place)
    assert begun["command"].startswith(f"penstock redo {place} --only")


def test_only_options_that_were_given_change_its_requests(
    penstock: Penstock, begun: dict[str, Any], place: Path, tmp_path: Path
) -> None:
    assert penstock("redo", place).code == 3
    assert begun["changes"] == {} and begun["named"] is None and begun["only"] == []
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("Please say: {{ text }}")
    penstock("redo", place, "--prompt-file", prompt, "--rpm", 5)
    assert begun["changes"] == {
        "prompt": "Please say: {{ text }}",
        "prompt_file": str(prompt),
        "rpm": 5,
    }


def test_it_shows_itself_as_this_call_asks_not_as_the_runs_own_did(
    penstock: Penstock, begun: dict[str, Any], place: Path
) -> None:
    penstock("redo", place)
    job = begun["job"]
    assert (job.json, job.progress, job.rpm) == (False, "auto", 7)
    penstock("redo", place, "--json", "--progress", "lines")
    assert (begun["job"].json, begun["job"].progress) == (True, "lines")


def test_headers_are_those_of_the_run_and_what_was_not_kept_has_to_be_given_again() -> None:
    assert with_headers({"rpm": 5}, {}) == {"rpm": 5}
    kept = {"X-Team": "***", "X-Org": "env:ORG"}
    with pytest.raises(UsageError, match="the value of --header X-Team is not kept"):
        with_headers({}, kept)
    found = with_headers({"header": {"X-Team": "blue"}}, kept)
    assert found == {"header": {"X-Team": "blue", "X-Org": "env:ORG"}}


def test_options_that_make_another_output_are_not_taken(
    penstock: Penstock, begun: dict[str, Any], place: Path
) -> None:
    for flag in ("--output", "--keep", "--limit", "--fresh", "--job"):
        found = penstock("redo", place, flag, "1")
        assert found.code == 2 and f"there is no option {flag}" in found.err
    assert penstock("redo", place, "--rpm", 0).code == 2
    assert begun == {}


def test_a_file_of_rows_holds_numbers_or_ids(tmp_path: Path) -> None:
    file = tmp_path / "rows.txt"
    file.write_text("1\n\n 20 \n")
    assert read_named(str(file), None) == Named("row", [1, 20])
    assert read_named(None, str(file)) == Named("id", ["1", "20"])
    file.write_text("17\nr 2\n")
    assert read_named(str(file), None) == Named("id", ["17", "r 2"])
    assert read_named(None, None) is None
    file.write_text("\n \n")
    with pytest.raises(UsageError, match="names no row"):
        read_named(str(file), None)
    with pytest.raises(UsageError, match="No such file"):
        read_named(str(tmp_path / "none"), None)
    with pytest.raises(UsageError, match="both --rows and --ids"):
        read_named("a", "b")


def test_a_directory_without_a_run_is_refused(penstock: Penstock, tmp_path: Path) -> None:
    found = penstock("redo", tmp_path)
    assert (found.code, found.out) == (2, "") and "is no run directory" in found.err
