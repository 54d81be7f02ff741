"""A treasury for tests, with no file and, unless they say otherwise, no price."""

from __future__ import annotations

from pathlib import Path

from penstock.disk import Disk
from penstock.engine.treasury import Treasury
from penstock.job import Job
from penstock.ledger.account import Account
from penstock.ledger.run_directory import RunDirectory


def no_money(job: Job) -> Treasury:
    """The treasury of a job that nothing is known to cost for."""
    directory = RunDirectory(Path("/nowhere"))
    return Treasury(Disk(), directory, "run", Account(), job, None, 0)
