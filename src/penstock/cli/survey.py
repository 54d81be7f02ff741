"""How far a run is: read from its directory, beside a live supervisor or after a dead one.

Nothing is changed and nobody is waited for. The newest summary speaks of the present only if its
figures are those that the ledger has: a supervisor that was killed writes none.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import msgspec

from penstock.engine.rates import pusd, usd
from penstock.errors import InputError, LedgerError
from penstock.ledger.account import Account
from penstock.ledger.checkpoint import read_checkpoint
from penstock.ledger.epoch import recorded_epoch
from penstock.ledger.generation import Generation, unfinished
from penstock.ledger.lock import read_crew
from penstock.ledger.manifest import Manifest
from penstock.ledger.process import is_alive
from penstock.ledger.published import is_published
from penstock.ledger.recovery import Recovered, survey
from penstock.ledger.rows import RowSet
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.spending import Spending, read_spending
from penstock.ledger.summary import read_summary
from penstock.observe.report import Report
from penstock.sources.inputs import Inputs

COUNT_SECONDS: Final = 2.0  # for counting the rows of an input that does not say how many it has


class Redo(msgspec.Struct, frozen=True):
    """A redo that is not finished."""

    number: int
    created_at: str
    rows: int
    left: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is."""

    run_dir: str
    run_id: str
    state: Literal["running", "complete", "stopped"]
    pid: int | None  # of the supervisor that holds the lock
    epoch: int
    created_at: str
    rows_in: int | None  # None: not known before the input was read to its end
    succeeded: int
    failed: int
    pending: int | None
    failed_by_class: dict[str, int]
    duplicates: int
    reused: int
    deduplicated: int
    tokens: dict[str, int]
    cost_usd: float | None  # None: nothing that is known
    budget_usd: float | None
    checkpoint_age_seconds: float | None
    torn_segments: int
    redo: Redo | None
    output: str
    output_bytes: int | None  # None: it is not there
    output_is_ours: bool
    message: str  # why it stopped, where that is known
    next_step: str
    resume_command: str


def read_status(path: Path, now: float) -> Status:
    """How far the run in `path` is; `now` in seconds since the Unix epoch.

    Raises RunDirectoryError where there is no run, LedgerError where it can't be read.
    """
    directory = RunDirectory(path)
    manifest = directory.manifest()
    running = is_held(directory.lock_path)
    checkpoint = read_checkpoint(directory, manifest.run_id)
    found = survey(directory, manifest.run_id)
    account, summary = found.account, read_summary(path)
    current = summary if summary is not None and not running and tells(summary, account) else None
    rows_in = current.rows_in if current is not None else None
    if rows_in is None:
        rows_in = total_rows(manifest, directory)
    pending = None if rows_in is None else max(0, rows_in - account.ended)
    redo = open_redo(found)
    output = output_of(manifest, path)
    there = output.is_file()
    return Status(
        run_dir=str(path),
        run_id=manifest.run_id,
        state=state_of(running=running, pending=pending, redo=redo),
        pid=supervisor_of(directory) if running else None,
        epoch=recorded_epoch(directory),
        created_at=manifest.created_at,
        rows_in=rows_in,
        succeeded=account.succeeded,
        failed=sum(account.failures.values()),
        pending=pending,
        failed_by_class=account.failures,
        duplicates=account.duplicates,
        reused=account.spent.reused,
        deduplicated=account.spent.duplicate,
        tokens=tokens_of(account),
        cost_usd=cost_of(account, read_spending(directory, manifest.run_id), running=running),
        budget_usd=manifest.job.get("budget_usd"),
        checkpoint_age_seconds=max(0.0, now - checkpoint.written_at) if checkpoint else None,
        torn_segments=0 if running else len(found.torn),
        redo=redo,
        output=str(output),
        output_bytes=output.stat().st_size if there else None,
        output_is_ours=there and is_published(path, output),
        message=current.message if current is not None else "",
        next_step=current.next_step if current is not None else "",
        resume_command=summary.resume_command if summary is not None else "",
    )


def state_of(
    *, running: bool, pending: int | None, redo: Redo | None
) -> Literal["running", "complete", "stopped"]:
    """A run's state in a word."""
    if running:
        return "running"
    return "complete" if pending == 0 and redo is None else "stopped"


def tells(summary: Report, account: Account) -> bool:
    """Whether a summary was written after the last row ended."""
    failed = sum(account.failures.values())
    return (summary.succeeded, summary.failed) == (account.succeeded, failed)


def is_held(lock_path: Path) -> bool:
    """Whether a supervisor, or a worker that outlived one, holds a run's lock."""
    try:
        fd = os.open(lock_path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that several may look at once. A supervisor that starts at this very instant
        # tries again 20 ms later.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def supervisor_of(directory: RunDirectory) -> int | None:
    """The pid of the supervisor that recorded itself; None if it is gone."""
    crew = read_crew(directory)
    return crew.supervisor.pid if crew is not None and is_alive(crew.supervisor) else None


def total_rows(manifest: Manifest, directory: RunDirectory) -> int | None:
    """How many rows the run's input has; None where that can't be said in a moment."""
    known = [one.rows for one in manifest.inputs if one.rows is not None]
    total = sum(known) if len(known) == len(manifest.inputs) else counted_rows(manifest, directory)
    limit = manifest.job["limit"]
    return total if total is None or limit is None else min(total, limit)


def counted_rows(manifest: Manifest, directory: RunDirectory) -> int | None:
    """The rows of the input, counted; None where that takes long, or the input is not here."""
    stop = threading.Event()
    timer = threading.Timer(COUNT_SECONDS, stop.set)
    timer.start()
    try:
        with suppress(InputError, LedgerError):
            return Inputs.open(manifest.job["inputs"], spool=directory.spool).count_rows(stop)
    finally:
        timer.cancel()
    return None


def open_redo(found: Recovered) -> Redo | None:
    """The redo that was interrupted, or is under way."""
    generation = unfinished(found.generations, found.account.done)
    if generation is None:
        return None
    left = left_of(generation, found.account.done.get(generation.number, RowSet()))
    return Redo(generation.number, generation.created_at, len(generation.rows), left)


def left_of(generation: Generation, done: RowSet) -> int:
    """How many rows of a redo are not done yet."""
    missing = (part for given in generation.rows.ranges() for part in done.missing(*given))
    return sum(end - start for start, end in missing)


def output_of(manifest: Manifest, path: Path) -> Path:
    """Where a run's output is: beside a run directory that is named after it, wherever that is now.

    Else as the job has it, which is relative to where its command was called.
    """
    output = Path(manifest.job["output"])
    here = path if path.name else path.resolve()
    return here.with_name(output.name) if here.name == output.name + ".run" else output


def cost_of(account: Account, spending: Spending, *, running: bool) -> float | None:
    """What counts as spent, as the ledger has it; None where no row has a cost.

    What was granted to workers counts only once they are dead: it is far more than they spent.
    """
    rows = pusd(account.paid_usd)
    return usd(rows + spending.beyond_rows if running else spending.total(rows)) or None


def tokens_of(account: Account) -> dict[str, int]:
    """The tokens of the rows that ended, in disjoint kinds."""
    spent = account.spent
    return {
        "uncached_input": spent.input_tokens - spent.cached_input_tokens,
        "cached_input": spent.cached_input_tokens,
        "visible_output": spent.output_tokens - spent.reasoning_tokens,
        "reasoning": spent.reasoning_tokens,
    }
