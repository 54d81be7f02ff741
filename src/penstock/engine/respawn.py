"""When a dead worker's seat is filled again, and when to give up: pure, time comes from outside."""

from __future__ import annotations

FIRST_DELAY_NS = 100_000_000
LONGEST_DELAY_NS = 30_000_000_000
EARLY_DEATHS = 3  # in a row, of workers that never got ready: a crash loop
EARLY_KILLS = 12  # likewise, where somebody may be killing them for no reason of ours
LONG_LIFE_NS = 60_000_000_000  # a worker that lived so long starts its seat's backoff anew


class Respawn:
    """The seats of a run's workers."""

    def __init__(self, seats: int) -> None:
        self._deaths = [0] * seats
        self._ready_ns = [0] * seats
        self._due: dict[int, int] = {}
        self._early_deaths = self._early_kills = 0

    def ready(self, seat: int, now_ns: int) -> None:
        """A worker on `seat` came up."""
        self._early_deaths = self._early_kills = 0
        if seat < len(self._ready_ns):
            self._ready_ns[seat] = now_ns

    def died(self, seat: int, was_ready: bool, now_ns: int, *, was_killed: bool = False) -> bool:
        """A worker died; its seat is filled again after a backoff. True: it is a crash loop."""
        if not was_ready and was_killed:
            self._early_kills += 1
        elif not was_ready:
            self._early_deaths += 1
        elif now_ns - self._ready_ns[seat] > LONG_LIFE_NS:
            self._deaths[seat] = 0
        delay_ns = min(LONGEST_DELAY_NS, FIRST_DELAY_NS << min(self._deaths[seat], 20))
        self._deaths[seat] += 1
        self._due[seat] = now_ns + delay_ns
        return self._early_deaths >= EARLY_DEATHS or self._early_kills >= EARLY_KILLS

    def due(self, now_ns: int) -> list[int]:
        """The seats to fill now; each is told once."""
        seats = sorted(seat for seat, due_ns in self._due.items() if due_ns <= now_ns)
        for seat in seats:
            del self._due[seat]
        return seats
