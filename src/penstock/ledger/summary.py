"""`summary.json`: what the run came to, as its newest epoch left it."""

from __future__ import annotations

from pathlib import Path

from penstock.disk import Disk
from penstock.errors import EXIT_PROVIDER, LedgerError
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.sealed_json import pack, unpack
from penstock.observe.report import Report


def write_summary(disk: Disk, run_dir: Path, report: Report) -> None:
    """Puts `report` in place of the summary before, durably. Raises LedgerError, DiskFull."""
    disk.replace_file(RunDirectory(run_dir).summary_path, pack(report.to_json()))


def read_summary(run_dir: Path) -> Report | None:
    """The newest summary; None if no epoch has ended in order. Raises LedgerError if broken."""
    path = RunDirectory(run_dir).summary_path
    data = Disk().read_file(path)
    try:
        return None if data is None else Report.from_json(unpack(data))
    except (ValueError, RecursionError) as error:
        raise LedgerError(
            f"{path} can't be read: {error}",
            "Remove it, and run the same command: a complete job asks nothing and writes it anew.",
        ) from None


def refused_at_once(run_dir: RunDirectory) -> bool:
    """Whether the provider refused a run for good before a row of it ended: nothing was bought."""
    if run_dir.segment_sizes():
        return False
    try:
        report = read_summary(run_dir.path)
    except LedgerError:
        return False
    return report is not None and report.exit_code == EXIT_PROVIDER and not report.cost_usd
