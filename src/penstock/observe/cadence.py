"""When a run's progress is worth a line, where a line can't be drawn over."""

from __future__ import annotations

from penstock.observe.snapshot import Snapshot


class Cadence:
    """Lets a snapshot through every `interval_seconds`, and at every change of state."""

    def __init__(self, interval_seconds: float) -> None:
        self._interval_seconds = interval_seconds
        self._last: Snapshot | None = None

    def passes(self, snapshot: Snapshot) -> bool:
        """Whether to write this snapshot; one that passes begins the next interval."""
        if self._last is not None and not self._is_news(snapshot, self._last):
            return False
        self._last = snapshot
        return True

    def _is_news(self, snapshot: Snapshot, last: Snapshot) -> bool:
        if snapshot.phase != last.phase or snapshot.endpoint_up != last.endpoint_up:
            return True
        return snapshot.elapsed_seconds - last.elapsed_seconds >= self._interval_seconds
