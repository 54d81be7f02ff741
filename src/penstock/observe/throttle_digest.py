"""Turns a growing count of throttled answers into an event now and then."""

from __future__ import annotations

from penstock.observe.events import Throttled

INTERVAL_NS = 10_000_000_000


class ThrottleDigest:
    """Says of the first throttled answer at once, of later ones together, every `interval_ns`."""

    def __init__(self, interval_ns: int = INTERVAL_NS) -> None:
        self._interval_ns = interval_ns
        self._told = 0
        self._told_ns: int | None = None

    def observe(self, throttles: int, now_ns: int) -> Throttled | None:
        """The event to log for this total, or None."""
        since_ns = 0 if self._told_ns is None else now_ns - self._told_ns
        first = self._told_ns is None
        if throttles <= self._told or (not first and since_ns < self._interval_ns):
            return None
        event = Throttled(answers=throttles - self._told, seconds=since_ns / 1e9)
        self._told, self._told_ns = throttles, now_ns
        return event
