"""Every error that a user can meet, in one tree, and the exit code that each ends with."""

from __future__ import annotations

from typing import Any, Final

EXIT_COMPLETE: Final = 0  # every row ended; dead letters within --allow-failed
EXIT_USAGE: Final = 2  # the command line, the job or its input can't work; nothing was sent
EXIT_DEAD_LETTERS: Final = 3  # every row ended, more as dead letters than --allow-failed
EXIT_PROVIDER: Final = 4  # the provider refuses for good: bad key, quota gone, unknown model
EXIT_LIMIT: Final = 5  # a limit of the user's: --stop-failed
EXIT_INTERNAL: Final = 6  # a fault of ours, or of the disk
EXIT_SIGINT: Final = 130  # interrupted: 128 + SIGINT
EXIT_SIGTERM: Final = 143  # terminated: 128 + SIGTERM


class PenstockError(Exception):
    """Raised when Penstock can't go on; the base of all others.

    `what` says what happened and where (file, line, row); `next_step` what to do about it. `report`
    is the run's `Report` where one was under way.
    """

    exit_code: int = EXIT_INTERNAL

    def __init__(self, what: str, next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step
        self.report: Any = None

    def __str__(self) -> str:
        return f"{self.what}\n{self.next_step}" if self.next_step else self.what


class UsageError(PenstockError):
    """Raised when what was asked for can't work; always before the first request."""

    exit_code = EXIT_USAGE


class JobError(UsageError):
    """Raised when an option or a key of the job file has a value that is not allowed."""


class InputError(UsageError):
    """Raised when an input is missing, empty, unreadable, or not what the run began with."""


class OutputError(UsageError):
    """Raised when the output is in the way, or its columns collide."""


class TemplateError(UsageError):
    """Raised when a prompt template can't be compiled, or rendered for a sampled record."""


class RunDirectoryError(UsageError):
    """Raised when a run directory is missing, of another format, or belongs to another job."""


class ProviderStopped(PenstockError):
    """Raised when the provider refuses for good; the rows left are pending, not dead letters."""

    exit_code = EXIT_PROVIDER


class LimitStopped(PenstockError):
    """Raised when a limit that the user set stops the run; the rows left are pending."""

    exit_code = EXIT_LIMIT


class LedgerError(PenstockError):
    """Raised when what is on disk can't be written, read or trusted."""


class DiskFull(LedgerError):
    """Raised when there is no space left, or no quota, for what has to be written."""


class RowMissing(LedgerError):
    """Raised when all rows of a run are asked for, and one has no result."""


class RunLocked(LedgerError):
    """Raised when another process holds the run directory's lock and does not let go."""


class EngineError(PenstockError):
    """Raised when worker processes can't be started or kept alive."""


class Interrupted(PenstockError):
    """Raised when a signal ended the run before its rows did; nothing is lost."""

    def __init__(self, what: str, next_step: str = "", *, exit_code: int = EXIT_SIGINT) -> None:
        super().__init__(what, next_step)
        self.exit_code = exit_code


def error_for(report: Any) -> PenstockError:
    """The error that a report's exit code stands for, with the report on it."""
    error: PenstockError
    what, next_step = report.message, report.next_step
    if report.exit_code == EXIT_PROVIDER:
        error = ProviderStopped(what, next_step)
    elif report.exit_code == EXIT_LIMIT:
        error = LimitStopped(what, next_step)
    elif report.exit_code in (EXIT_SIGINT, EXIT_SIGTERM):
        again = "Nothing is lost: the same job goes on where it was."
        error = Interrupted(what, next_step or again, exit_code=report.exit_code)
    else:
        error = PenstockError(what, next_step)
        error.exit_code = report.exit_code
    error.report = report
    return error
