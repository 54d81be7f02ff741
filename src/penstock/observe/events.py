"""What can happen to a run, as a closed set: each kind is a struct, and a line of `log.jsonl`."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from penstock.observe.use import Use
from penstock.observe.words import count, counted, duration

Level = Literal["info", "warning", "error"]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened. A warning or an error is shown to the user too, as its `text`."""

    level: ClassVar[Level] = "info"

    @property
    def name(self) -> str:
        """The kind, as it is written in the log: `worker_started`."""
        words = "".join(" " + c.lower() if c.isupper() else c for c in type(self).__name__)
        return words.split(maxsplit=1)[0] + "".join("_" + w for w in words.split()[1:])

    @property
    def text(self) -> str:
        """The event as a sentence."""
        return self.name.replace("_", " ")


class RunStarted(Event, frozen=True):
    run_id: str
    run_dir: str
    epoch: int
    resumed: int  # rows that were done already
    total: int | None

    @property
    def text(self) -> str:
        rows = "an unknown number of rows" if self.total is None else f"{count(self.total)} rows"
        done = f", {count(self.resumed)} of them done" if self.resumed else ""
        return f"run {self.run_id} in {self.run_dir}: {rows}{done}"


class WorkerStarted(Event, frozen=True):
    worker: int
    pid: int
    slots: int

    @property
    def text(self) -> str:
        return f"worker {self.worker} started (pid {self.pid}, {count(self.slots)} slots)"


class WorkerReplaced(Event, frozen=True):
    level: ClassVar[Level] = "warning"
    worker: int
    cause: str  # `killed by SIGKILL`, `no heartbeat for 30 s`
    rows_leased_again: int

    @property
    def text(self) -> str:
        rows = count(self.rows_leased_again)
        return f"worker {self.worker} {self.cause}; replaced, {rows} rows leased again"


class EndpointDown(Event, frozen=True):
    level: ClassVar[Level] = "warning"
    endpoint: str
    cause: str

    @property
    def text(self) -> str:
        return f"endpoint {self.endpoint} is down: {self.cause}; probing until it answers"


class EndpointUp(Event, frozen=True):
    level: ClassVar[Level] = "warning"
    endpoint: str
    down_seconds: float

    @property
    def text(self) -> str:
        return f"endpoint {self.endpoint} answers again, after {duration(self.down_seconds)}"


class EndpointPaused(Event, frozen=True):
    level: ClassVar[Level] = "warning"
    endpoint: str
    seconds: float

    @property
    def text(self) -> str:
        return (
            f"endpoint {self.endpoint} throttles: left alone for {duration(self.seconds)}, "
            "others go on"
        )


class EndpointOut(Event, frozen=True):
    level: ClassVar[Level] = "warning"
    endpoint: str
    cause: str
    next_step: str

    @property
    def text(self) -> str:
        return (
            f"endpoint {self.endpoint} {self.cause}; it is asked no more, others go on. "
            f"{self.next_step}; the same command asks it again"
        )


class LimitsNamed(Event, frozen=True):
    """The provider's headers name its limits."""

    endpoint: str
    limits: dict[str, int]  # resource -> so many

    @property
    def text(self) -> str:
        named = ", ".join(f"{count(most)} {name}" for name, most in self.limits.items())
        return f"endpoint {self.endpoint} names its limits: {named.replace('_', ' ')}"


class Tuned(Event, frozen=True):
    """Other limits were set, by `penstock tune`."""

    level: ClassVar[Level] = "warning"
    options: dict[str, float]

    @property
    def text(self) -> str:
        told = ", ".join(f"{name} {value:,.12g}" for name, value in self.options.items())
        return f"tuned: {told.replace('_', '-')}"


class Throttled(Event, frozen=True):
    """Throttled answers, many in one line: a provider that throttles does so by the thousand."""

    answers: int
    seconds: float  # over how long

    @property
    def text(self) -> str:
        return f"the provider throttled {count(self.answers)} times in {duration(self.seconds)}"


class CheckpointWritten(Event, frozen=True):
    rows_done: int
    low_water: int
    write_seconds: float
    use: Use  # of the epoch so far

    @property
    def text(self) -> str:
        return f"checkpoint: {count(self.rows_done)} rows done"


class RowQuarantined(Event, frozen=True):
    level: ClassVar[Level] = "warning"
    row: int
    cause: str

    @property
    def text(self) -> str:
        return f"row {self.row} is tried in a worker of its own: {self.cause}"


class Draining(Event, frozen=True):
    level: ClassVar[Level] = "warning"
    cause: str  # `SIGINT`, `the key was refused`
    in_flight: int
    grace_seconds: float

    @property
    def text(self) -> str:
        return (
            f"{self.cause}: finishing {counted(self.in_flight, 'request')} in flight, for at most "
            f"{duration(self.grace_seconds)}"
        )


class Priced(Event, frozen=True):
    words: str

    @property
    def text(self) -> str:
        return self.words


class Warned(Event, frozen=True):
    level: ClassVar[Level] = "warning"
    message: str

    @property
    def text(self) -> str:
        return self.message


class Stopped(Event, frozen=True):
    exit_code: int
    message: str
    succeeded: int
    failed: int
    pending: int | None

    @property
    def text(self) -> str:
        return self.message or f"ended with exit code {self.exit_code}"
