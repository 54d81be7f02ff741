"""The governor of an endpoint, in the supervisor: what is found of its limits, put into force.

It reads the workers' meters a few times a second and has the `Finder` decide. How many requests may
be in flight is dealt to the seats as grants; what bounds the rate, be it named by the provider's
headers or found, tunes the endpoint's buckets, once for each change. What the job gives is the
ceiling of both, and `penstock tune` changes that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from penstock import _core
from penstock._core import Limiter, Slab
from penstock.engine.capacity import deal
from penstock.engine.concurrency import Sample, Why
from penstock.engine.finding import Finder
from penstock.engine.limits import DAY_NS, MINUTE_NS, SECOND_NS, Bucket, Rate, bucket, within
from penstock.engine.meter import Grants, M, summed
from penstock.engine.plan import EndpointPlan
from penstock.observe.snapshot import Traffic
from penstock.observe.state import HowFound
from penstock.providers.rate_headers import Counted, RateLimit

TURN_NS: Final = 2_000_000_000  # how long a seat has its turn, where there are too few places
PACED: Final = "rps"  # the bucket that a rate which was found bounds
COUNTED: Final[Mapping[int, Counted]] = {
    _core.REQUESTS: "requests",
    _core.TOTAL_TOKENS: "tokens",
    _core.INPUT_TOKENS: "input_tokens",
    _core.OUTPUT_TOKENS: "output_tokens",
}
COARSE: Final = 100  # requests per second below which whole numbers of them are
NAMED: Final[Mapping[tuple[Counted, int], str]] = {
    ("requests", SECOND_NS): "rps",
    ("requests", MINUTE_NS): "rpm",
    ("tokens", MINUTE_NS): "tpm",
    ("input_tokens", MINUTE_NS): "input_tpm",
    ("output_tokens", MINUTE_NS): "output_tpm",
}


class InForce(msgspec.Struct):
    """A bucket as it is now, and how its limit was come by."""

    bucket: Bucket
    how: HowFound = ""


class Governor:
    """One for each endpoint; `meters` are those of its seats, `most` their places there."""

    def __init__(
        self,
        endpoint: EndpointPlan,
        index: int,
        limiter: Limiter,
        grants: Grants,
        meters: Sequence[Slab],
        most: Sequence[int],
    ) -> None:
        self.name = endpoint.name
        self._index = index
        self._largest_tokens = endpoint.largest_tokens
        self._limiter = limiter
        self._grants = grants
        self._meters = meters
        self._most = most
        self._finder = Finder(
            endpoint.places,
            endpoint.first_places,
            by_latency=endpoint.job.max_concurrency is None,
        )
        self._is_shared = endpoint.limiter_file is not None
        self._given = list(endpoint.buckets)
        self._ceiling = endpoint.places
        self._is_given = endpoint.first_places == endpoint.places
        self._named: dict[str, Rate] = {}
        self._by_day: set[Counted] = set()
        self._paced: float | None = None
        self.in_force = [InForce(bucket) for bucket in endpoint.buckets]
        self.places = endpoint.first_places
        self.why: Why = "growing"
        self._dealt: list[int] = []
        self._deal(0, range(len(most)))

    def look(self, now_ns: int, seats: Collection[int]) -> None:
        """Decide anew; `seats` are those whose workers live."""
        for seat, meter in enumerate(self._meters):
            if seat not in seats and meter.get(M.IN_FLIGHT):
                meter.set(M.IN_FLIGHT, 0)
        cells = summed(self._meters)
        found = self._finder.look(
            Sample(
                now_ns,
                answers=cells[M.ANSWERS],
                throttles=cells[M.THROTTLES],
                errors=cells[M.ERRORS],
                latency_ns=cells[M.LATENCY_NS],
                output_tokens=cells[M.OUTPUT_TOKENS],
                held_ns=cells[M.HELD_NS] // max(1, len(seats)),
                in_flight=cells[M.IN_FLIGHT],
            ),
            self._limiter.paused_until(),
            cells[M.PACED_NS],
        )
        self.places, self.why = found.allowed, found.why
        self._deal(now_ns, seats)
        # Of a limiter that others share, nobody can tell which rate is whose.
        if found.per_second != self._paced and not self._is_shared:
            self._paced = found.per_second
            self._enforce(now_ns, {})

    @property
    def traffic(self) -> Traffic:
        """What the requests there came to."""
        cells = summed(self._meters)
        return Traffic(
            answered=cells[M.ANSWERS],
            throttled=cells[M.THROTTLES],
            failed=cells[M.ERRORS],
            in_flight=cells[M.IN_FLIGHT],
        )

    @property
    def _is_given_for(self) -> set[Counted]:
        """What the job itself limits."""
        return {COUNTED[one.resource] for one in self._given if one.limit is not None}

    def told(self, told: Sequence[RateLimit], now_ns: int) -> list[RateLimit]:
        """The provider names its limits; returns those of a day that it had not named yet.

        Those are not kept by pacing: it would spread what is left of the day over a whole one.
        """
        used: dict[str, int] = {}
        self._finder.names_rates = True
        cells = summed(self._meters)
        asked = cells[M.ANSWERS] + cells[M.IN_FLIGHT]
        for one in told:
            if one.counted in self._is_given_for:
                continue  # what is given is the user's own word, in whichever window
            rate = Rate(one.limit, one.window_seconds * SECOND_NS)
            if one.counted != "requests" and one.window_seconds == 1:
                rate = Rate(one.limit * 60, MINUTE_NS)
            if name := NAMED.get((one.counted, rate.window_ns)):
                self._named[name] = rate
                # The first answer does not know of what was sent since it was.
                each = 1 if one.counted == "requests" else self._largest_tokens
                used[name] = max(one.used, asked * each)
        self._enforce(now_ns, used)
        of_day = [one for one in told if one.window_seconds * SECOND_NS == DAY_NS]
        fresh = [one for one in of_day if one.counted not in self._by_day]
        self._by_day |= {one.counted for one in of_day}
        return fresh

    @property
    def concurrency(self) -> tuple[HowFound, Why]:
        """How the places were come by, and what holds them there."""
        return ("" if self.places >= self._ceiling and self._is_given else "found"), self.why

    def tune(self, limits: Mapping[str, int], places: int | None, now_ns: int) -> int | None:
        """Take other limits for those that the job gives; returns the places, if these were too."""
        self._given = [
            bucket(one.name, one.resource, limits[one.name], one.window_ns, self._largest_tokens)
            if one.name in limits
            else one
            for one in self._given
        ]
        self._enforce(now_ns, {})
        if places is None:
            return None
        most = self._ceiling = min(places, sum(self._most))
        self._is_given = True
        self._finder.bound(most)
        return most

    @property
    def given(self) -> list[Bucket]:
        """The buckets of the job, as they were tuned."""
        return self._given

    def _enforce(self, now_ns: int, used: Mapping[str, int]) -> None:
        """Tune the buckets to what is given, named and found by now."""
        for index, given in enumerate(self._given):
            how, found = self._found(given.name)
            wanted = within(given, found, self._largest_tokens)
            before = self.in_force[index].bucket
            self.in_force[index] = InForce(wanted, how if wanted != given else "")
            if wanted == before:
                continue
            if wanted.limit is None:
                self._limiter.lift(index)
                continue
            self._limiter.tune(
                index, wanted.limit, wanted.window_ns, wanted.ceiling, wanted.late_ns, now_ns
            )
            if before.limit is None:
                self._limiter.debit(index, used.get(given.name, 0), now_ns)

    def _found(self, name: str) -> tuple[HowFound, Rate | None]:
        """The tightest that is known of a limit beyond what is given."""
        named = self._named.get(name)
        if name != PACED or self._paced is None:
            return "named", named
        if named is not None and named.limit * SECOND_NS <= self._paced * named.window_ns:
            return "named", named
        return "found", rate_of(self._paced)

    def _deal(self, now_ns: int, seats: Collection[int]) -> None:
        dealt = deal(self.places, self._most, seats, now_ns // TURN_NS)
        for seat, places in enumerate(dealt):
            if self._dealt[seat : seat + 1] != [places]:
                self._grants.give(seat, self._index, places)
        self._dealt = dealt


def rate_of(per_second: float) -> Rate:
    """A rate as whole numbers, of a minute where those of a second would be too coarse."""
    if per_second >= COARSE:
        return Rate(int(per_second), SECOND_NS)
    return Rate(max(1, int(per_second * 60)), MINUTE_NS)
