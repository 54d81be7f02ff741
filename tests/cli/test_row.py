"""All that is known of a row, whatever became of it and of the input."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.ledger_rows import answer
from ledger.ledger_run import Run, json_lines
from penstock.cli.row import json_of, read_row
from penstock.disk import Disk
from penstock.errors import InputError, RunDirectoryError
from penstock.ledger.generation import begin_redo
from penstock.ledger.rows import RowSet


def test_a_row_has_its_input_its_request_and_its_result(stopped: Run) -> None:
    row = read_row(stopped.run_dir.path, 3)
    assert (row.outcome, row.problem) == ("succeeded", "")
    assert row.record is not None and row.record.where == "in.jsonl:4"
    assert row.request is not None and "Say: text 3" in row.request.body
    assert [one.result["output"] for one in row.copies] == ["answer 3"]


def test_a_row_without_a_result_is_pending(stopped: Run) -> None:
    row = read_row(stopped.run_dir.path, 9)
    assert (row.outcome, row.copies, row.problem) == ("pending", [], "")


def test_of_several_copies_the_one_in_the_output_counts(stopped: Run) -> None:
    stopped.put([answer(3, output="bought twice")], epoch=2)
    row = read_row(stopped.run_dir.path, 3)
    assert [(one.result["output"], one.counts) for one in row.copies] == [
        ("answer 3", True),
        ("bought twice", False),
    ]


def test_a_row_asked_again_has_the_request_of_its_redo(complete: Run) -> None:
    directory = complete.run_dir
    manifest = directory.manifest()
    job = {**manifest.job, "prompt": "Please say: {{ text }}", "model": "better"}
    begin_redo(Disk(), directory, manifest.run_id, RowSet([(5, 6)]), job, "2026-03-02")
    before = read_row(directory.path, 5)
    assert before.outcome == "failed"
    assert before.request is not None and '"content":"Say: text 5"' in before.request.body
    complete.put([answer(5, generation=1)], epoch=2)
    after = read_row(directory.path, 5)
    assert [one.counts for one in after.copies] == [False, True]
    assert after.outcome == "succeeded" and after.request is not None
    assert '"better"' in after.request.body and "Please say: text 5" in after.request.body


def test_a_row_beyond_the_input_is_refused(stopped: Run) -> None:
    with pytest.raises(InputError, match="row 10: the input ends before it"):
        read_row(stopped.run_dir.path, 10)


def test_what_is_no_run_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError):
        read_row(tmp_path, 0)


def test_a_result_is_shown_also_where_the_input_is_gone_or_changed(
    stopped: Run, ten_rows: Path
) -> None:
    ten_rows.write_text('{"text": "another"}\n')
    row = read_row(stopped.run_dir.path, 3)
    assert row.outcome == "succeeded" and (row.record, row.request) == (None, None)
    assert "was" in row.problem
    ten_rows.unlink()
    assert "no such file" in read_row(stopped.run_dir.path, 3).problem
    with pytest.raises(InputError, match="no such file"):
        read_row(stopped.run_dir.path, 9)


def test_rows_that_can_not_be_asked_for_say_why(tmp_path: Path) -> None:
    file = json_lines(tmp_path / "in.jsonl", [{"text": "a"}, {"text": None}, {"text": "c"}])
    with file.open("a") as more:
        more.write("{broken\n")
    run = Run(tmp_path, file, output="out.csv", model="m", prompt="{{ text }}", limit=2)
    assert read_row(run.run_dir.path, 0).problem == ""
    assert "null" in read_row(run.run_dir.path, 1).problem
    assert "first 2 rows" in read_row(run.run_dir.path, 2).problem
    malformed = read_row(run.run_dir.path, 3)
    assert malformed.request is None and "malformed JSON" in malformed.problem


def test_json_has_everything_in_one_object(stopped: Run) -> None:
    fields = json_of(read_row(stopped.run_dir.path, 5))
    assert (fields["row"], fields["outcome"], fields["id"]) == (5, "failed", "r-5")
    assert fields["input"] == {"id": "r-5", "text": "text 5"}
    assert fields["request"]["url"] == "http://127.0.0.1:1/v1/chat/completions"
    assert fields["copies"][0]["error_class"] == "timeout" and fields["copies"][0]["counts"]
    assert fields["curl"].startswith("curl ")
