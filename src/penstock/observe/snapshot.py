"""A run at an instant: all that progress, metrics and status show of it."""

from __future__ import annotations

from typing import Literal

import msgspec

Phase = Literal["starting", "running", "draining", "exporting", "done"]


class LimitUse(msgspec.Struct, frozen=True):
    """A limit, and how much of it is used."""

    limit: int
    window_seconds: float  # 0 for `concurrency`, which has no window
    share: float  # of what the limit allowed, 0..1 (a little above where a burst is counted)
    note: str = ""  # how it was come by, where it was not given


class Traffic(msgspec.Struct, frozen=True):
    """What an endpoint's requests came to in this epoch; one that refused a record is in none."""

    answered: int = 0
    throttled: int = 0
    failed: int = 0  # in a way that speaks of the endpoint: a 5xx, a timeout, no connection
    in_flight: int = 0


class Snapshot(msgspec.Struct, kw_only=True):
    """A run at an instant. Rows count over the whole run, all else over this process tree."""

    run_id: str
    phase: Phase
    total: int | None = None  # rows, once the input is read to its end (or --limit)
    done: int = 0  # succeeded + failed, durably
    succeeded: int = 0
    failed: int = 0
    failed_by_class: dict[str, int] = {}
    resumed: int = 0  # of `done`: before this epoch
    resumed_failed: int = 0  # of `failed`: before this epoch
    in_flight: int = 0
    queued: int = 0
    retry_waiting: int = 0
    reused: int = 0  # rows that ended by an earlier run's answer
    deduplicated: int = 0  # and by another row's
    requests: int = 0  # attempts that ended
    retries: int = 0
    throttles: int = 0
    tokens: dict[str, int] = {}  # by type: disjoint, so that they add up
    cost_usd: float | None = None  # spent over the whole run, lost answers too; None: no price
    budget_usd: float | None = None
    elapsed_seconds: float = 0.0
    rate_now: float = 0.0  # records per second, over the last seconds
    rate_mean: float = 0.0
    eta_seconds: float | None = None
    p50_seconds: float | None = None  # of requests; None before the first
    p99_seconds: float | None = None
    bottleneck: dict[str, float] = {}  # reason -> share of slot time, over the last seconds
    limiting: str = ""  # what limits now, in words
    limits: dict[str, LimitUse] = {}  # by resource, over the last seconds
    workers: int = 0  # alive
    worker_restarts: int = 0
    endpoint_up: dict[str, bool] = {}
    endpoint_traffic: dict[str, Traffic] = {}
    started_at: float = 0.0  # seconds since the Unix epoch
    last_checkpoint_at: float | None = None
    warnings: list[str] = []

    @property
    def pending(self) -> int | None:
        """Rows without an end yet; None while the total is not known."""
        return None if self.total is None else max(0, self.total - self.done)
