"""`summary.json` keeps the report of the newest epoch."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from penstock.disk import Disk
from penstock.errors import LedgerError
from penstock.ledger.summary import read_summary, write_summary
from penstock.observe.report import Failure, Report

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


def report(exit_code: int) -> Report:
    return Report(
        exit_code=exit_code,
        failed_by_class={"timeout": Failure(count=1, row=3)},
        started_at=NOON,
        finished_at=NOON,
    )


def test_the_newest_report_is_read_back(tmp_path: Path) -> None:
    for exit_code in (130, 3):
        write_summary(Disk(), tmp_path, report(exit_code))
    assert read_summary(tmp_path) == report(3)
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_there_is_none_before_an_epoch_has_ended(tmp_path: Path) -> None:
    assert read_summary(tmp_path) is None


@pytest.mark.parametrize("broken", [b"", b"{", b'{"exit_code":"no"}'])
def test_a_broken_one_is_named(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / "summary.json").write_bytes(broken)
    with pytest.raises(LedgerError, match=r"summary\.json"):
        read_summary(tmp_path)


@pytest.mark.parametrize("data", [b"[" * 5000, b'{"run_id": "\xff"}'])
def test_a_summary_of_any_bytes_is_an_error_that_names_it(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "summary.json").write_bytes(data)
    with pytest.raises(LedgerError, match=r"summary\.json"):
        read_summary(tmp_path)
