"""The limits that the simulated provider keeps, exact to the nanosecond; time is a parameter.

Sliding logs, not token buckets: a bucket lets a burst on top of its rate through, so it can't show
that a client kept "at most N in any second". A log remembers every admitted request of its window
and costs about 50 bytes for each.
"""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import NamedTuple

from penstock.simulator.settings import Settings

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS


# What Azure's Responses API says where it does not know its limits.
UNKNOWN = "".join(
    f"x-ratelimit-{part}-{kind}: {value}\r\n"
    for kind in ("requests", "tokens")
    for part, value in (("limit", "0"), ("remaining", "-1"))
)


class SlidingWindow:
    """Holds at most `limit` in any window: in (t - width, t], for every t."""

    def __init__(self, limit: int, width_ns: int) -> None:
        self.limit = limit
        self.used = 0
        self._width_ns = width_ns
        self._log: deque[tuple[int, int]] = deque()

    def wait_ns(self, now_ns: int, cost: int) -> int:
        """0 if `cost` fits now, else how long until it will; the whole width if it never can."""
        self._forget(now_ns)
        excess = self.used + cost - self.limit
        if excess <= 0:
            return 0
        for then_ns, old_cost in self._log:
            excess -= old_cost
            if excess <= 0:
                return then_ns + self._width_ns - now_ns
        return self._width_ns

    def add(self, now_ns: int, cost: int) -> None:
        self.used += cost
        self._log.append((now_ns, cost))

    def remaining(self, now_ns: int) -> int:
        self._forget(now_ns)
        return max(0, self.limit - self.used)

    def reset_ns(self, now_ns: int) -> int:
        """How long until the window is empty again, if nothing more comes."""
        self._forget(now_ns)
        return self._log[-1][0] + self._width_ns - now_ns if self._log else 0

    def _forget(self, now_ns: int) -> None:
        log, oldest_ns = self._log, now_ns - self._width_ns
        while log and log[0][0] <= oldest_ns:
            self.used -= log.popleft()[1]


class Throttle(NamedTuple):
    """Why a request is refused: the limit's short name, its words, and when to come back."""

    name: str
    kind: str
    limit: int
    used: int
    asked: int
    wait_ns: int


class Limits:
    """All limits of the account; a request passes all of them or uses none."""

    def __init__(self, settings: Settings) -> None:
        self._concurrency = settings.concurrency
        self._count_refused = settings.count_refused
        self._told = settings.rate_headers
        windows = (
            ("rps", settings.rps, SECOND_NS),
            ("rpm", settings.rpm, MINUTE_NS),
            ("tpm", settings.tpm, MINUTE_NS),
        )
        self._windows = {
            name: SlidingWindow(limit, width_ns) for name, limit, width_ns in windows if limit
        }

    def admit(self, now_ns: int, tokens: int, in_flight: int) -> Throttle | None:
        """None, and the request is counted; or why it is refused. `in_flight` is without it."""
        refused = self._look(now_ns, tokens, in_flight)
        if refused is None or self._count_refused:
            for name, window in self._windows.items():
                window.add(now_ns, tokens if name == "tpm" else 1)
        return refused

    def headers(self, now_ns: int) -> str:
        """The x-ratelimit header lines, or what stands for them."""
        if self._told == "azure":
            return UNKNOWN
        if self._told == "together":
            return self._by_second()
        return "".join(limit_headers(kind, window, now_ns) for kind, window in self.shown())

    def shown(self) -> list[tuple[str, SlidingWindow]]:
        """What headers tell of: limits per minute alone, as their names say no window."""
        if self._told != "dialect":
            return []
        kinds = (("requests", self._windows.get("rpm")), ("tokens", self._windows.get("tpm")))
        return [(kind, window) for kind, window in kinds if window is not None]

    def _by_second(self) -> str:
        """Together's header lines, which say what a second may hold."""
        lines = []
        if requests := self._windows.get("rps"):
            lines.append(f"x-ratelimit-limit: {requests.limit}\r\n")
        if tokens := self._windows.get("tpm"):
            lines.append(f"x-ratelimit-limit-tokens: {tokens.limit // 60}\r\n")
        return "".join(lines)

    def _look(self, now_ns: int, tokens: int, in_flight: int) -> Throttle | None:
        if self._concurrency and in_flight >= self._concurrency:
            # No clock says when a place is free; a provider names some short wait.
            limit = self._concurrency
            return Throttle("concurrency", "requests", limit, in_flight, 1, SECOND_NS // 10)
        for name, window in self._windows.items():
            kind, cost = ("tokens", tokens) if name == "tpm" else ("requests", 1)
            wait_ns = window.wait_ns(now_ns, cost)
            if wait_ns:
                return Throttle(name, kind, window.limit, window.used, cost, wait_ns)
        return None


def limit_headers(kind: str, window: SlidingWindow, now_ns: int) -> str:
    """The three header lines of one limit."""
    return (
        f"x-ratelimit-limit-{kind}: {window.limit}\r\n"
        f"x-ratelimit-remaining-{kind}: {window.remaining(now_ns)}\r\n"
        f"x-ratelimit-reset-{kind}: {format_duration(window.reset_ns(now_ns))}\r\n"
    )


def wait_headers(wait_ns: int) -> str:
    """Both forms of the wait: whole seconds, rounded up, and milliseconds."""
    return (
        f"retry-after: {ceil(wait_ns / SECOND_NS)}\r\n"
        f"retry-after-ms: {ceil(wait_ns / 1_000_000)}\r\n"
    )


def format_duration(duration_ns: int) -> str:
    """A duration as OpenAI writes it: `12ms`, `1.5s`, `6m0s`, `1h2m3s`; rounded up to ms."""
    milliseconds = ceil(duration_ns / 1_000_000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    seconds = f"{rest / 1000:g}s"
    if not minutes:
        return seconds
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}" if hours else f"{minutes}m{seconds}"
