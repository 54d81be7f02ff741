"""What a report says of rows: its exit code, and what is pending."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from penstock.engine.reporting import add_account, exit_code
from penstock.errors import EXIT_COMPLETE, EXIT_DEAD_LETTERS
from penstock.job import Job
from penstock.ledger.account import Account
from penstock.ledger.rows import RowSet
from penstock.observe.report import Failure, Report


@pytest.mark.parametrize(
    ("failed", "rows", "allowed", "expected"),
    [
        (0, 0, "0%", EXIT_COMPLETE),
        (0, 10, "0%", EXIT_COMPLETE),
        (1, 10, "0%", EXIT_DEAD_LETTERS),
        (1, 10, "10%", EXIT_COMPLETE),
        (2, 10, "10%", EXIT_DEAD_LETTERS),
        (10, 10, "100%", EXIT_COMPLETE),
    ],
)
def test_a_complete_run_ends_with_3_when_more_dead_letters_than_allowed_are_there(
    failed: int, rows: int, allowed: str, expected: int
) -> None:
    assert exit_code(failed, rows, Job(allow_failed=allowed)) == expected


@pytest.mark.parametrize(("rows_in", "pending"), [(10, 4), (None, None), (6, 0)])
def test_a_run_that_stopped_tells_what_ended_by_class_and_what_is_pending(
    rows_in: int | None, pending: int | None
) -> None:
    account = Account()
    account.done[0].update(RowSet([(0, 6)]))
    account.failed["timeout"] = RowSet([(2, 4)])
    account.failed["policy"] = RowSet([(5, 6)])
    now = datetime.now(UTC)
    report = Report(exit_code=4, started_at=now, finished_at=now, rows_in=rows_in)
    add_account(report, account, {"timeout": Failure(count=1, row=3, message="too slow")})
    assert (report.succeeded, report.failed, report.pending) == (3, 3, pending)
    assert report.failed_by_class == {
        "timeout": Failure(count=2, row=3, message="too slow"),
        "policy": Failure(count=1, row=5),
    }
