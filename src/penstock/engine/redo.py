"""Beginning a redo: which rows are asked again, and under which job.

What is begun here is durable, and carried on by an ordinary run of the same directory: that is how
an interrupted redo resumes, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from penstock.disk import Disk
from penstock.errors import UsageError
from penstock.job import Job, check, identity
from penstock.ledger.account import Account
from penstock.ledger.generation import Generation, begin_redo, unfinished
from penstock.ledger.lock import RunLock
from penstock.ledger.manifest import Manifest, public_job
from penstock.ledger.recovery import recover
from penstock.ledger.results import results
from penstock.ledger.rows import RowSet
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.summary import read_summary
from penstock.observe.report import Report
from penstock.origins import convert
from penstock.record import SUCCEEDED

COMPLETE = (0, 3)
TRUNCATED = "truncated"

# The rows whose answers ended in a way that has a name.
Answered = Callable[[str], RowSet]


class Named(NamedTuple):
    """Rows as a user names them."""

    column: Literal["row", "id"]
    names: Sequence[int] | Sequence[str]


def begin(
    run_directory: Path,
    *,
    only: Sequence[str] = (),
    named: Named | None = None,
    changes: Mapping[str, Any] | None = None,
) -> tuple[Job, Generation]:
    """Begin a redo, or find the one that was interrupted. Returns the run's job and the redo.

    `only` are error classes, or how answers ended that count as none (`truncated`, or a
    finish_reason); `named` are rows, also those that were answered. Neither: all dead letters.
    `changes` are options of the job: those free to change apply to this epoch, the others to the
    redo's requests. Raises UsageError where there is nothing to redo, or the run is not complete.
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
        rows = None if named is None else rows_of(run_directory, named)
        chosen = choose(recovered.account, only, rows, partial(answers_that_ended, run_directory))
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


def choose(
    account: Account, only: Collection[str], rows: RowSet | None, answered: Answered
) -> RowSet:
    """The rows to ask again: dead letters, and answers that are named by rows or by how they ended.

    Without `only` all dead letters, or just the given `rows`, however those ended. Raises
    UsageError where there are none.
    """
    if not only:
        chosen = rows if rows is not None else united(account.failed.values())
    else:
        chosen = united(ended_so(name, account, answered) for name in only)
        if rows is not None:
            chosen = common(chosen, rows)
    if not len(chosen):
        raise UsageError("there is nothing to redo", f"Dead letters by class: {letters(account)}.")
    return chosen


def ended_so(name: str, account: Account, answered: Answered) -> RowSet:
    """The dead letters of a class, and the answers that ended for a reason of that name.

    Raises UsageError where there are none.
    """
    rows = united([account.failed.get(name, RowSet()), answered(name)])
    if not len(rows):
        raise UsageError(
            f"--only {name}: no dead letter is of this class, and no answer ended so",
            f"Dead letters by class: {letters(account)}. Answers: `truncated`, or a finish_reason.",
        )
    return rows


def answers_that_ended(run_directory: Path, name: str) -> RowSet:
    """The rows whose answers were cut (`truncated`), or have a finish_reason of that name."""
    found = RowSet()
    for batch in results(run_directory, partial=True):
        ended = pc.equal(batch["finish_reason"], name)
        if name == TRUNCATED:
            ended = pc.or_kleene(ended, batch["truncated"])
        ended = pc.and_kleene(pc.equal(batch["outcome"], SUCCEEDED), ended)
        for row in batch["row"].filter(ended).to_pylist():
            found.add(row)
    return found


def rows_of(run_directory: Path, named: Named) -> RowSet:
    """The rows that a user names, by number or by id. Raises UsageError where one is missing."""
    kind = pa.int64() if named.column == "row" else pa.string()
    wanted = pa.array(list(named.names), kind)
    rows, there = RowSet(), set()
    for batch in results(run_directory, partial=True):
        found = batch.filter(pc.is_in(batch[named.column], value_set=wanted))
        there.update(found[named.column].to_pylist())
        for row in found["row"].to_pylist():
            rows.add(row)
    if missing := [name for name in named.names if name not in there]:
        what = "row" if named.column == "row" else "id"
        raise UsageError(
            f"{run_directory} has no {what} {missing[0]!r}",
            "Look at the output for those that it has, or at `penstock status` for how many.",
        )
    return rows


def united(sets: Iterable[RowSet]) -> RowSet:
    """The rows that are in any of some sets."""
    rows = RowSet()
    for one in sets:
        rows.update(one)
    return rows


def common(left: RowSet, right: RowSet) -> RowSet:
    """The rows that are in both sets."""
    rows = RowSet()
    for row in left:
        if row in right:
            rows.add(row)
    return rows


def letters(account: Account) -> str:
    """The classes of dead letters that there are."""
    return ", ".join(account.failures) or "none at all"
