"""What only the supervisor knows of a run; it changes this in place, and `observer` reads it."""

from __future__ import annotations

from typing import Literal

import msgspec

from penstock.observe.snapshot import Phase, Traffic

# What a limit counts, and so which counter says how much of it is used.
Counted = Literal["requests", "tokens", "input_tokens", "output_tokens", "concurrency"]

_WINDOW_NAMES = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}


# How a limit was come by: given, named by the provider's headers, or found by trying.
HowFound = Literal["", "named", "found"]


class Limit(msgspec.Struct, frozen=True):
    """A limit of the endpoints, all of them together."""

    counted: Counted
    limit: int
    window_seconds: int = 0  # 0 for concurrency
    how: HowFound = ""
    why: str = ""  # what holds a limit that was found where it is

    @property
    def resource(self) -> str:
        """Its name in metrics and summaries: `requests_per_minute`, `concurrency`."""
        if not self.window_seconds:
            return self.counted
        window = _WINDOW_NAMES.get(self.window_seconds, f"{self.window_seconds}_seconds")
        return f"{self.counted}_per_{window}"


class Endpoint(msgspec.Struct):
    """How an endpoint is."""

    up: bool = True
    down_since_ns: int = 0  # CLOCK_MONOTONIC, where it is down
    out: bool = False  # it refused for good; others may go on
    cause: str = ""  # why it is down, or out: `connect refused`
    paused_until_ns: int = 0  # the provider asked for no request before
    traffic: Traffic = Traffic()


class RunState(msgspec.Struct, kw_only=True):
    """A run as its supervisor sees it. Times are CLOCK_MONOTONIC, unless they end in `_at`."""

    run_id: str
    started_ns: int
    started_at: float  # seconds since the Unix epoch
    phase: Phase = "starting"
    running_since_ns: int | None = None  # the workers were ready
    running_until_ns: int | None = None  # the last row ended
    total: int | None = None
    succeeded: int = 0  # durable rows of the whole run
    failed_by_class: dict[str, int] = {}
    resumed_succeeded: int = 0  # of `succeeded`: before this epoch
    resumed_failed: int = 0
    limits: tuple[Limit, ...] = ()
    endpoints: dict[str, Endpoint] = {}
    workers: int = 0
    worker_restarts: int = 0
    last_checkpoint_at: float | None = None
    priced: bool = False  # whether the price of anything is known
    spent_before_pusd: int = 0  # picodollars, in earlier epochs
    budget_usd: float | None = None
    warnings: list[str] = []

    @property
    def failed(self) -> int:
        return sum(self.failed_by_class.values())

    def running_seconds(self, now_ns: int) -> float:
        """From when the workers were ready to the last row's end, or to now."""
        if self.running_since_ns is None:
            return 0.0
        return ((self.running_until_ns or now_ns) - self.running_since_ns) / 1e9

    def commit(self, succeeded: int, failed_by_class: dict[str, int]) -> None:
        """Count rows that became durable."""
        self.succeeded += succeeded
        for error_class, count in failed_by_class.items():
            known = self.failed_by_class.get(error_class, 0)
            self.failed_by_class[error_class] = known + count
