"""What a server takes, found while it is asked: so many in flight, or so many a second.

Both throttle alike. Its number in flight is what a server bounds as long as throttles come only
beyond a number that it let through before; where it throttles below that, or asks to wait for
seconds, or says so in its headers, it bounds the rate. Then the pace is what answers to throttles,
and the number in flight is given back.
"""

from __future__ import annotations

from typing import Final

import msgspec

from penstock.engine.concurrency import Concurrency, Sample, Why, requests
from penstock.engine.pace import Pace

LONG_WAIT_NS: Final = 3_000_000_000  # no server that bounds what is in flight asks for as much
TOLERANCE: Final = 2.0  # times the share that was seen
LEAST_TOLERATED: Final = 0.015
CONTRADICTIONS: Final = 3  # round trips with throttles below a number that was let through
FORGOTTEN_NS: Final = 90_000_000_000


class Found(msgspec.Struct, frozen=True):
    """What may be done, and what held it last."""

    allowed: int
    per_second: float | None
    why: Why


class Finder:
    """For one endpoint; its decisions hold for all workers together."""

    def __init__(self, most: int, first: int, *, by_latency: bool = True) -> None:
        self._concurrency = Concurrency(most, first, by_latency=by_latency)
        self._pace = Pace()
        self.names_rates = False  # the provider says that it bounds the rate
        self._tolerated = 0.0  # share of throttles that no limit changes
        self._credit = 0.0  # throttles that need no answer
        self._seen: Sample | None = None
        self._counting = Sample(0)  # the newest, with the throttles that count
        self._counted = 0  # throttles that do
        self._paced = 0  # of them those that the pace answered to
        self._held_ns = 0  # by the pace, at the last look
        self._contradictions = 0
        self._contradicted_ns: int | None = None  # when the last was

    def look(self, told: Sample, paused_until_ns: int, paced_ns: int) -> Found:
        """What follows from this sample; `paced_ns` is for how long the pace held requests."""
        pace, concurrency = self._pace, self._concurrency
        now = self._counting = self._without_tolerated(told)
        throttles = now.throttles - self._counted
        self._counted = now.throttles
        pace.note(now)
        if pace.per_second is not None:
            self._paced += throttles
            pace.look(now, paused_until_ns, paced_ns - self._held_ns, concurrency.trip_ns)
        elif throttles and self._is_rate(now, paused_until_ns):
            self._paced += throttles
            self._contradictions = 0
            is_full = paused_until_ns - now.now_ns >= LONG_WAIT_NS
            pace.engage(now, paused_until_ns, is_full=is_full)
            concurrency.restore(self._unpaced(now))
        allowed = concurrency.look(self._unpaced(now))
        self._held_ns = paced_ns
        if share := pace.in_vain or concurrency.in_vain:
            allowed = self._tolerate(share, now)
        return Found(allowed, pace.per_second, concurrency.why)

    def bound(self, most: int) -> None:
        """Another most that may be in flight."""
        self._concurrency.bound(most, self._unpaced(self._counting))

    def _without_tolerated(self, told: Sample) -> Sample:
        """The sample with only those throttles that are more than usual."""
        seen, self._seen = self._seen or told, told
        came = told.throttles - seen.throttles
        earned = self._tolerated * (requests(told) - requests(seen))
        most = 10.0 + self._tolerated * self._concurrency.allowed
        self._credit = min(self._credit + earned - came, most)
        counted = self._counted
        if came and self._credit < 0:
            self._credit = 0.0
            counted += came
        return msgspec.structs.replace(told, throttles=counted)

    def _tolerate(self, share: float, now: Sample) -> int:
        """Take throttles up to this share for the provider's way, and give back what they took."""
        self._tolerated = max(LEAST_TOLERATED, TOLERANCE * share)
        self._credit = 10.0
        self._pace.drop()
        self._pace.in_vain = 0.0
        self._concurrency.restore(self._unpaced(now))
        return self._concurrency.allowed

    def _unpaced(self, now: Sample) -> Sample:
        """The sample without the throttles that are the pace's."""
        return msgspec.structs.replace(now, throttles=now.throttles - self._paced)

    def _is_rate(self, now: Sample, paused_until_ns: int) -> bool:
        """Whether throttles are about the rate, and not about the number in flight."""
        if self.names_rates or paused_until_ns - now.now_ns >= LONG_WAIT_NS:
            return True
        concurrency, met_ns = self._concurrency, self._contradicted_ns
        if concurrency.allowed > max(1, concurrency.clean):
            return False
        if met_ns is not None and now.now_ns - met_ns < concurrency.trip_ns:
            return False
        if met_ns is not None and now.now_ns - met_ns > FORGOTTEN_NS:
            self._contradictions = 0
        self._contradictions += 1
        self._contradicted_ns = now.now_ns
        concurrency.clean = min(concurrency.clean, concurrency.allowed - 1)
        return self._contradictions >= CONTRADICTIONS
