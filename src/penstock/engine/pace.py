"""The rate that a server takes, where it throttles by rate and does not say by which.

A pure controller. What was admitted in the last minute is what the limit lets through, whatever its
window, for the pauses that the server asked for count as time: a burst of 600 that has to wait for
the rest of the minute was a limit of ten a second. Of a minute and of its last seconds the larger
counts: there need not have been as many requests all the time. The rate is a little below that.
While it holds requests back it is raised: quickly to where it was throttled last, slowly around
there, and ever more quickly beyond, as CUBIC does with a window (RFC 9438).
"""

from __future__ import annotations

from collections import deque
from typing import Final

from penstock.engine.concurrency import Descent, Sample, requests

SECOND_NS: Final = 1_000_000_000
LOOK_BACK_NS: Final = (10 * SECOND_NS, 60 * SECOND_NS)
BELOW: Final = 0.95  # of what was admitted
LEAST_PER_SECOND: Final = 1 / 60
FIRST_PER_SECOND: Final = 1.0  # it gets below that only where it holds requests back
MOST_IN_VAIN: Final = 0.6  # a share of throttles that is still there at half the rate
STEP_NS: Final = 5 * SECOND_NS
STEP: Final = 0.02
SMALL_STEP: Final = 0.01  # around where it was throttled last
AROUND: Final = 0.02
FIRST_PATIENCE_NS: Final = 10 * SECOND_NS  # between steps around there; doubles if it was right
MOST_PATIENCE_NS: Final = 40 * SECOND_NS
ALIKE: Final = 0.1
GUESS: Final = 0.8
DEPTH: Final = 0.5  # of the rate, at which throttles that are still there have another reason
MOST_STEP: Final = 0.05


class Pace:
    """Requests per second, once they are bounded: None before."""

    def __init__(self) -> None:
        self.per_second: float | None = None
        self.in_vain = 0.0  # the share of throttles that no lower rate changed
        self._throttled_at = 0.0  # the rate that was too much
        self._step = STEP
        self._patience_ns = FIRST_PATIENCE_NS
        self._changed_ns = 0
        self._past: deque[tuple[int, int]] = deque()  # time, admitted
        self._has_held = False  # requests, since it was lowered last
        self._descent: Descent | None = None
        self._fell_ns = 0  # when that began
        self._throttles = 0

    def note(self, now: Sample) -> None:
        """Remember what was admitted until now; before all else of a sample."""
        past = self._past
        past.append((now.now_ns, admitted(now)))
        while len(past) > 1 and now.now_ns - past[1][0] >= max(LOOK_BACK_NS):
            past.popleft()

    def engage(self, now: Sample, paused_until_ns: int, *, is_full: bool) -> None:
        """Bound the rate from now on; `is_full`: the limit was used up, and is no higher."""
        self._throttled_at = self._admitted_per_second(now, paused_until_ns)
        # With few records to be asked for, what was admitted is no measure of a limit.
        self._throttled_at = max(FIRST_PER_SECOND, self._throttled_at)
        self.per_second = BELOW * self._throttled_at
        self._has_held = False
        if not is_full:  # there need not have been as many requests as it lets through
            self._throttled_at *= GUESS
        self._step, self._changed_ns = STEP, max(now.now_ns, paused_until_ns)
        self._throttles, self.in_vain, self._descent = now.throttles, 0.0, None

    def drop(self) -> None:
        """Bound the rate no more."""
        self.per_second = None

    def look(self, now: Sample, paused_until_ns: int, held_ns: int, trip_ns: int) -> None:
        """Raise or lower the rate; `held_ns` is for how long, of late, it held requests back."""
        since_ns = now.now_ns - self._changed_ns
        self.in_vain = 0.0
        self._has_held = self._has_held or held_ns > 0
        if now.throttles > self._throttles:
            before, self._throttles = self._throttles, now.throttles
            if self._has_held and since_ns > max(trip_ns, SECOND_NS):
                self._lower(now, paused_until_ns, before)
        elif held_ns and since_ns >= STEP_NS:
            self._raise(now, since_ns)

    def _raise(self, now: Sample, since_ns: int) -> None:
        assert self.per_second is not None
        share = self.per_second / self._throttled_at
        if share < 1 - AROUND:
            step = STEP
        elif share < 1 + AROUND:
            if since_ns < self._patience_ns:
                return
            step = SMALL_STEP
        else:
            step, self._step = self._step, min(MOST_STEP, 2 * self._step)
            self._patience_ns = FIRST_PATIENCE_NS
        self.per_second *= 1 + step
        self._changed_ns = now.now_ns

    def _lower(self, now: Sample, paused_until_ns: int, throttles: int) -> None:
        assert self.per_second is not None
        whole = requests(now)
        if self._descent is None or self.per_second >= self._descent.top:
            came = now.throttles - throttles
            self._descent = Descent(self.per_second, throttles, whole - came, DEPTH, MOST_IN_VAIN)
            self._fell_ns = now.now_ns
        self._changed_ns, self._has_held = max(now.now_ns, paused_until_ns), False
        if share := self._descent.in_vain(self.per_second, now.throttles, whole):
            # A window of a minute takes as long to notice.
            self.in_vain = share if now.now_ns - self._fell_ns > max(LOOK_BACK_NS) else 0.0
            return
        let_through = min(self.per_second, self._admitted_per_second(now, paused_until_ns))
        is_alike = abs(let_through - self._throttled_at) <= ALIKE * self._throttled_at
        self._patience_ns = min(MOST_PATIENCE_NS, 2 * self._patience_ns)
        if not is_alike:
            self._patience_ns = FIRST_PATIENCE_NS
        self._throttled_at = max(LEAST_PER_SECOND, let_through, self._descent.least / BELOW)
        self.per_second, self._step = BELOW * self._throttled_at, STEP

    def _admitted_per_second(self, now: Sample, paused_until_ns: int) -> float:
        until_ns = max(now.now_ns, min(paused_until_ns, now.now_ns + max(LOOK_BACK_NS)))
        rates = [LEAST_PER_SECOND]
        for look_back_ns in LOOK_BACK_NS:
            then_ns, before = next(
                one for one in self._past if one[0] > now.now_ns - look_back_ns - SECOND_NS
            )
            seconds = max(until_ns - then_ns, SECOND_NS) / SECOND_NS
            rates.append((admitted(now) - before) / seconds)
        return max(rates)


def admitted(sample: Sample) -> int:
    """Requests that were let through, answered or not yet."""
    return sample.answers + sample.in_flight
