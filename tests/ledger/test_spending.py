"""What a run has spent beyond its rows: written whole, and never believed if broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.disk import Disk
from penstock.errors import LedgerError
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.spending import Spending, read_spending, write_spending


def test_what_was_written_is_read_and_nothing_is_nothing(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    assert read_spending(directory, "run") == Spending("run")
    write_spending(Disk(), directory, Spending("run", 5, 70))
    assert read_spending(directory, "run") == Spending("run", 5, 70)


def test_after_a_crash_what_may_have_been_spent_counts_and_rows_written_since_count_once() -> None:
    assert Spending("run", 5, 70).total(10) == 70
    assert Spending("run", 5, 70).total(68) == 70
    assert Spending("run", 5, 70).total(75) == 75, "answers cost more than was predicted"
    assert Spending("run", 5).total(10) == 15


@pytest.mark.parametrize("run_id", ["run", "other"])
def test_what_is_broken_or_another_runs_is_refused(tmp_path: Path, run_id: str) -> None:
    directory = RunDirectory(tmp_path)
    write_spending(Disk(), directory, Spending(run_id, 5, 70))
    if run_id == "run":
        data = directory.spending_path.read_bytes()
        directory.spending_path.write_bytes(data.replace(b"70", b"10"))
    with pytest.raises(LedgerError, match=r"spending\.json can't be read") as caught:
        read_spending(directory, "run")
    assert "Remove it" in caught.value.next_step
