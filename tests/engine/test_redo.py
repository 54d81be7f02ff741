"""Which rows a redo asks again. That it asks them, tests/integration/test_redo.py sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.ledger_rows import answer, dead
from ledger.ledger_run import Run, json_lines
from observe.samples import a_report
from penstock.disk import Disk
from penstock.engine.redo import Named, begin
from penstock.errors import UsageError
from penstock.job import Job
from penstock.ledger.summary import write_summary


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A complete run: rows 0 to 3 answered, of which two were cut; 4 to 7 failed."""
    given = [{"id": str(100 + row), "text": f"text {row}"} for row in range(8)]
    run = Run(
        tmp_path,
        json_lines(tmp_path / "in.jsonl", given),
        output=str(tmp_path / "out.jsonl"),
        model="m",
        prompt="{{ text }}",
    )
    run.put(
        [
            answer(0, id="100", finish_reason="stop"),
            answer(1, id="101", finish_reason="length", truncated=True),
            answer(2, id="102", finish_reason="max_tokens", truncated=True),
            answer(3, id="103", finish_reason="refusal"),
            *(dead(row, "timeout", id=str(100 + row)) for row in (4, 5)),
            *(dead(row, "truncated", id=str(100 + row)) for row in (6, 7)),
        ]
    )
    write_summary(Disk(), run.run_dir.path, a_report(pending=0, exit_code=3, redo=0))
    return run.run_dir.path


def rows(place: Path, **how: object) -> list[int]:
    """The rows that a redo asks again, which is then as if it had never begun."""
    _, redo = begin(place, **how)  # type: ignore[arg-type]
    for file in (place / "generations").iterdir():
        file.unlink()
    return list(redo.rows)


def test_without_a_word_all_dead_letters_are_asked_again(place: Path) -> None:
    assert rows(place) == [4, 5, 6, 7]


def test_a_name_is_that_of_a_dead_letters_class_or_of_how_an_answer_ended(place: Path) -> None:
    assert rows(place, only=["timeout"]) == [4, 5]
    assert rows(place, only=["truncated"]) == [1, 2, 6, 7]
    assert rows(place, only=["refusal", "timeout"]) == [3, 4, 5]
    assert rows(place, only=["length"]) == [1]
    with pytest.raises(UsageError, match="--only dns: no dead letter is of this class") as raised:
        rows(place, only=["timeout", "dns"])
    assert "timeout, truncated" in raised.value.next_step


@pytest.mark.parametrize(("pending", "exit_code"), [(1, 3), (0, 5), (0, 130)])
def test_a_run_that_is_not_complete_is_carried_on_first(
    place: Path, pending: int, exit_code: int
) -> None:
    """Its pending rows belong to no redo, and would be left out of it."""
    write_summary(Disk(), place, a_report(pending=pending, exit_code=exit_code, redo=0))
    with pytest.raises(UsageError, match="the run is not complete"):
        begin(place)
    assert list((place / "generations").iterdir()) == []
    (place / "summary.json").unlink()
    with pytest.raises(UsageError, match="the run is not complete"):
        begin(place)


def test_rows_that_are_named_are_asked_again_however_they_ended(place: Path) -> None:
    assert rows(place, named=Named("row", [0, 5, 5])) == [0, 5]
    assert rows(place, named=Named("id", ["100", "107"])) == [0, 7]
    assert rows(place, only=["truncated"], named=Named("row", [0, 1, 6])) == [1, 6]
    with pytest.raises(UsageError, match="there is nothing to redo"):
        rows(place, only=["timeout"], named=Named("row", [0]))


def test_rows_that_are_not_there_are_refused_by_name(place: Path) -> None:
    with pytest.raises(UsageError, match="has no row 8"):
        rows(place, named=Named("row", [0, 8]))
    with pytest.raises(UsageError, match="has no id 'r-1'"):
        rows(place, named=Named("id", ["100", "r-1"]))
    assert not list((place / "generations").iterdir())


def test_what_is_asked_again_is_asked_under_the_changed_job(place: Path) -> None:
    job, redo = begin(place, only=["truncated"], changes={"param": {"max_tokens": 4000}})
    assert isinstance(job, Job) and job.param == {}
    assert redo.job["param"] == {"max_tokens": 4000}
