from __future__ import annotations

from datetime import UTC, datetime

from cli.conftest import Penstock
from ledger.ledger_rows import answer
from ledger.ledger_run import Run
from penstock.cli.verify import row_words
from penstock.disk import Disk
from penstock.errors import EXIT_INTERNAL
from penstock.ledger.summary import write_summary
from penstock.observe.report import Report


def test_a_whole_run_has_nothing_wrong(penstock: Penstock, complete: Run) -> None:
    complete.put([answer(3)], epoch=2)
    found = penstock("verify", complete.run_dir.path)
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith(f"{complete.run_dir.path}: nothing is wrong\n")
    assert "10 = 9 succeeded + 1 failed" in found.out
    assert "1 copies more, of rows that were asked twice" in found.out


def test_what_a_crash_leaves_is_told_and_is_no_fault(penstock: Penstock, stopped: Run) -> None:
    stopped.put([answer(7)], worker=2, close=False)
    found = penstock("verify", stopped.run_dir.path)
    assert found.code == 0 and "0001-0002-0000.arrow has no end (yet)" in found.out
    assert "row 6" in found.out
    with (stopped.run_dir.segments / "0001-0002-0000.arrow").open("ab") as file:
        file.write(b"torn")
    found = penstock("verify", stopped.run_dir.path)
    assert found.code == 0 and "0001-0002-0000.arrow has a torn end: " in found.out


def test_rows_that_were_told_and_are_lost_are_exit_6(penstock: Penstock, stopped: Run) -> None:
    then = datetime(2026, 3, 1, tzinfo=UTC)
    told = Report(exit_code=0, rows_in=10, succeeded=10, started_at=then, finished_at=then)
    write_summary(Disk(), stopped.run_dir.path, told)
    found = penstock("verify", stopped.run_dir.path)
    assert found.code == EXIT_INTERNAL and ": 2 problems\n" in found.out
    assert "row 6 to 9" in found.out
    fields = penstock("verify", stopped.run_dir.path, "--json").json
    assert fields["ok"] is False and len(fields["problems"]) == 2
    assert fields["missing"] == [[6, 10]] and fields["figures"]["rows"] == 6
    assert "latency_bins" not in fields["figures"]


def test_a_range_of_one_row_is_that_row() -> None:
    assert (row_words(3, 4), row_words(3, 5)) == ("3", "3 to 4")
