"""Why a run ends, in words: what happened, and what to do before the same command resumes it."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import msgspec

from penstock import addresses, errors
from penstock.engine.messages import Fatal
from penstock.job import Job
from penstock.observe.words import money

LEAST_ENDED = 100  # records, before --stop-failed judges
MOST_NAMED = 10  # rows, in a message

WHAT_TO_CHANGE = {
    "auth": "Check the key (--api-key-env, --api-key-file)",
    "permission": "Check what the key may do",
    "quota": "Raise the quota or the spend limit at the provider",
    "model": "Check --model",
    "tls": "Check the server's certificate, or name its authority by --ca-file",
    "redirect": "Give --base-url as the provider documents it",
    "not_found": "Check --base-url, and --model",
}
NOWHERE = (404, 405)  # statuses of what is not at a URL


class Stopped(msgspec.Struct, frozen=True):
    """Why the workers were told to end."""

    exit_code: int
    message: str
    next_step: str = ""
    at_once: bool = False  # what is in flight could not be kept, or there is nothing

    @property
    def complete(self) -> bool:
        """Whether every row ended."""
        return self.exit_code == errors.EXIT_COMPLETE


def complete() -> Stopped:
    """Every row ended; how many as dead letters is judged later."""
    return Stopped(errors.EXIT_COMPLETE, "")


def interrupted(number: signal.Signals) -> Stopped:
    """A signal came; that the same command resumes is said of every run that did not end."""
    return Stopped(128 + number, f"interrupted by {number.name}")


def fatal_verdict(fatal: Fatal, endpoint: str, job: Job) -> Stopped:
    """The provider refuses for good; `job` is as it is for that endpoint."""
    said = f" (HTTP {fatal.status})" if fatal.status else ""
    words = f": {fatal.message}" if fatal.message else ""
    return Stopped(
        errors.EXIT_PROVIDER,
        f"{endpoint} refuses for good, {fatal.error_class}{said}{words}",
        what_to_change(fatal.error_class, fatal.status, job),
    )


def what_to_change(error_class: str, status: int, job: Job) -> str:
    """What may mend a refusal for good."""
    likely = addresses.likely_url(job) if status in NOWHERE else None
    if likely is not None:
        return f"Check --base-url: the API of most servers is below /v1, so {likely}"
    return WHAT_TO_CHANGE.get(error_class, "See what the provider says")


def too_many_failed(ended: int, failed: int, share: float) -> bool:
    """Whether --stop-failed ends the run."""
    return ended >= LEAST_ENDED and failed > share * ended


def failures(ended: int, failed: int, share: str) -> Stopped:
    """--stop-failed ends the run."""
    return Stopped(
        errors.EXIT_LIMIT,
        f"{failed} of {ended} records failed, more than --stop-failed {share}",
        "Look at the dead letters by `penstock status`; raise --stop-failed to go on all the same",
    )


def budget_spent(budget_usd: float, spent_usd: float, needed_usd: float) -> Stopped:
    """--budget-usd does not cover another request."""
    return Stopped(
        errors.EXIT_LIMIT,
        f"{money(spent_usd)} of --budget-usd {budget_usd:g} are spent, and the next request is "
        f"predicted to cost {money(needed_usd)}",
        "Raise --budget-usd to go on",
    )


def disk_failed(reason: str) -> Stopped:
    """The ledger can't be written."""
    return Stopped(errors.EXIT_INTERNAL, reason, "Mend the disk or make room on it", at_once=True)


def input_failed(error: errors.PenstockError) -> Stopped:
    """The input can't be read on."""
    return Stopped(error.exit_code, error.what, error.next_step or "Bring the input back")


def no_process(error: OSError) -> Stopped:
    """The system gives no process, descriptor or memory for another worker."""
    return Stopped(
        errors.EXIT_INTERNAL,
        f"a worker process can't be started: {error.strerror or error}",
        "Free memory or raise the limits (ulimit -n, ulimit -u), or ask for fewer --workers",
    )


def no_progress(deaths: int, cause: str, rows: Sequence[int]) -> Stopped:
    """Workers end again and again with no row done in between; `rows` were always in flight."""
    suspects = ", ".join(map(str, rows[:MOST_NAMED])) + (", ..." if len(rows) > MOST_NAMED else "")
    which = f"; in flight each time: row {suspects}" if rows else ""
    return Stopped(
        errors.EXIT_INTERNAL,
        f"{deaths} workers in a row ended with no row done between them, the last one "
        f"by: {cause}{which}",
        "Give them more memory or ask for less at a time (--max-concurrency); see what a row asks "
        "for by `penstock render INPUT --row N`",
        at_once=True,
    )


def crash_loop(words: str) -> Stopped:
    """Workers die before they are ready; `words` are the last one's own."""
    return Stopped(
        errors.EXIT_INTERNAL,
        f"worker processes can't start; the last one said:\n{words or '(nothing)'}",
        "Mend what it says",
        at_once=True,
    )
