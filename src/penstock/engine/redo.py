"""Beginning a redo: which dead letters are asked again, and under which job.

What is begun here is durable, and carried on by an ordinary run of the same directory: that is how
an interrupted redo resumes, too.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from penstock.disk import Disk
from penstock.errors import UsageError
from penstock.job import Job, check, identity
from penstock.ledger.account import Account
from penstock.ledger.generation import Generation, begin_redo, unfinished
from penstock.ledger.lock import RunLock
from penstock.ledger.manifest import Manifest, public_job
from penstock.ledger.recovery import recover
from penstock.ledger.rows import RowSet
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.summary import read_summary
from penstock.observe.report import Report
from penstock.origins import convert

COMPLETE = (0, 3)


def begin(
    run_directory: Path,
    *,
    only: Sequence[str] = (),
    rows: Container[int] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> tuple[Job, Generation]:
    """Begin a redo, or find the one that was interrupted. Returns the run's job and the redo.

    `only` are error classes (none: all of them), `rows` further restricts to some rows; `changes`
    are options of the job: those free to change apply to this epoch, the others to the redo's
    requests. Raises UsageError where there is nothing to redo, or the run is not complete.
    """
    changed = convert(changes or {})
    changes = {name: getattr(changed, name) for name in changes or {}}
    directory, disk = RunDirectory(run_directory), Disk()
    manifest = directory.manifest()
    lock = RunLock.acquire(disk, directory)
    try:
        job = job_of(manifest, changes)
        asked = msgspec.structs.replace(job, **changes)
        check(asked)
        recovered = recover(disk, directory, manifest.run_id)
        open_one = unfinished(recovered.generations, recovered.account.done)
        open_one = open_one or unreported(recovered.generations, run_directory)
        if open_one is not None:
            return job, open_one
        refuse_incomplete(run_directory)
        chosen = choose(recovered.account, only, rows)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        made = begin_redo(disk, directory, manifest.run_id, chosen, public_job(asked), now)
        return job, made
    finally:
        lock.release()


def job_of(manifest: Manifest, changes: Mapping[str, Any]) -> Job:
    """The run's own job, with those changes that don't make it another."""
    job = convert({name: value for name, value in manifest.job.items() if value is not None})
    fixed = identity(job).keys()
    free = {name: value for name, value in changes.items() if name not in fixed}
    return msgspec.structs.replace(job, fresh=False, overwrite=False, **free)


def unreported(generations: Sequence[Generation], run_directory: Path) -> Generation | None:
    """The newest redo, if it was interrupted after its last row, before its output was written."""
    if not generations:
        return None
    newest, summary = generations[-1], read_summary(run_directory)
    told = summary is not None and is_complete(summary) and summary.redo >= newest.number
    return None if told else newest


def is_complete(summary: Report) -> bool:
    """Whether it is of a run all of whose rows ended and were written."""
    return not summary.pending and summary.exit_code in COMPLETE


def refuse_incomplete(run_directory: Path) -> None:
    """Raises UsageError where rows of the run are still pending."""
    summary = read_summary(run_directory)
    if summary is None or not is_complete(summary):
        raise UsageError(
            f"{run_directory}: the run is not complete",
            "Run its command again first; dead letters can be asked again after that.",
        )


def choose(account: Account, only: Collection[str], rows: Container[int] | None) -> RowSet:
    """The dead letters to ask again. Raises UsageError where there are none."""
    unknown = [name for name in only if not account.failed.get(name)]
    there = ", ".join(account.failures) or "none at all"
    if unknown:
        raise UsageError(
            f"--only {unknown[0]}: no dead letter is of this class", f"There are: {there}."
        )
    chosen = RowSet()
    for name, failed in account.failed.items():
        if not only or name in only:
            for row in failed:
                if rows is None or row in rows:
                    chosen.add(row)
    if not len(chosen):
        raise UsageError("there is nothing to redo", f"Dead letters by class: {there}.")
    return chosen
