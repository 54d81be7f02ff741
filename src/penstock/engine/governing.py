"""The limits of a run while it goes on: one governor an endpoint, and what a user tunes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from penstock._core import Limiter
from penstock.engine.capacity import shares
from penstock.engine.governor import COUNTED, Governor
from penstock.engine.limiter_file import restamp
from penstock.engine.limits import NAMES, SECOND_NS
from penstock.engine.plan import Plan
from penstock.engine.region import Region
from penstock.errors import LedgerError
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.tuned import read_tuned, signature
from penstock.observe import events
from penstock.observe.snapshot import Traffic
from penstock.observe.state import Limit
from penstock.observe.words import count
from penstock.providers.rate_headers import RateLimit

LOOK_NS: Final = 250_000_000
POLL_NS: Final = 500_000_000


class Governing:
    """The governors of a run's endpoints; `on_tuned` learns of every option that is tuned."""

    def __init__(
        self,
        plan: Plan,
        region: Region,
        limiters: Sequence[Limiter],
        tell: Callable[[events.Event], None],
        on_tuned: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._tell = tell
        self._file = plan.endpoints[0].limiter_file
        self._on_tuned = on_tuned
        self._directory = RunDirectory(Path(plan.run_directory))
        self._signature = signature(self._directory)
        self._looked_ns = self._polled_ns = 0
        grants, seats = region.grants(), range(plan.workers)
        dealt = shares([one.room for one in plan.endpoints], plan.workers)
        self._governors = [
            Governor(
                endpoint,
                index,
                limiter,
                grants,
                [region.meter(seat, index) for seat in seats],
                [dealt[seat][index] for seat in seats],
            )
            for index, (endpoint, limiter) in enumerate(zip(plan.endpoints, limiters, strict=True))
        ]

    def tick(self, now_ns: int, seats: Collection[int]) -> bool:
        """Look at what is due; True where limits may have changed."""
        if now_ns - self._looked_ns < LOOK_NS:
            return False
        self._looked_ns = now_ns
        for governor in self._governors:
            governor.look(now_ns, seats)
        if now_ns - self._polled_ns >= POLL_NS:
            self._polled_ns = now_ns
            self._poll(now_ns)
        return True

    def named(self, endpoint: int, told: Sequence[RateLimit], now_ns: int) -> None:
        """An endpoint's headers name its limits."""
        governor = self._governors[endpoint]
        of_day = governor.told(told, now_ns)
        by_name = {
            Limit(one.counted, one.limit, one.window_seconds).resource: one.limit for one in told
        }
        self._tell(events.LimitsNamed(endpoint=governor.name, limits=by_name))
        for one in of_day:
            self._tell(events.Warned(message=of_day_words(governor.name, one)))

    @property
    def places(self) -> int:
        """Requests that may be in flight, at all endpoints together."""
        return sum(governor.places for governor in self._governors)

    def limits(self) -> tuple[Limit, ...]:
        """What is in force, of all endpoints together."""
        together = zip(*(governor.in_force for governor in self._governors), strict=True)
        found = []
        for of_each in together:
            known = [one.bucket.limit for one in of_each if one.bucket.limit is not None]
            if len(known) == len(of_each) and len({one.bucket.window_ns for one in of_each}) == 1:
                first = of_each[0]
                window_seconds = first.bucket.window_ns // SECOND_NS
                counted = COUNTED[first.bucket.resource]
                found.append(Limit(counted, sum(known), window_seconds, first.how))
        how, why = self._governors[0].concurrency
        tightest = {one.resource: one for one in sorted(found, key=lambda one: -one.limit)}
        return (*tightest.values(), Limit("concurrency", self.places, how=how, why=why))

    def traffic(self) -> dict[str, Traffic]:
        """What the requests to each endpoint came to."""
        return {governor.name: governor.traffic for governor in self._governors}

    def _poll(self, now_ns: int) -> None:
        """Take what was tuned, if something was."""
        found = signature(self._directory)
        if found is None or found == self._signature:
            return
        self._signature = found
        try:
            tuned = read_tuned(self._directory)
        except LedgerError as error:
            self._tell(events.Warned(message=str(error)))
            return
        if tuned is not None:
            self._tune(tuned.values(), now_ns)

    def _tune(self, options: Mapping[str, Any], now_ns: int) -> None:
        limits = {name: options[name] for name in NAMES if name in options}
        wanted = options.get("max_concurrency")
        several = len(self._governors) > 1
        if several and (limits or wanted):
            message = "not tuned: the limits of several endpoints; change them in the job file"
            self._tell(events.Warned(message=message))
        elif limits or wanted:
            places = self._governors[0].tune(limits, wanted, now_ns)
            if limits and self._file is not None:
                restamp(self._file, self._governors[0].given)
            if places is not None and wanted is not None and places < wanted:
                self._tell(events.Warned(message=too_few_words(wanted, places)))
        self._on_tuned(options)
        self._tell(events.Tuned(options=dict(options)))


def of_day_words(endpoint: str, limit: RateLimit) -> str:
    """The warning that a provider counts by the day."""
    flag = "rpd" if limit.counted == "requests" else "tpd"
    return (
        f"endpoint {endpoint} allows {count(limit.limit)} {limit.counted} a day, of which "
        f"{count(limit.used)} are used: --{flag} {limit.limit} spreads them over the day"
    )


def too_few_words(wanted: int, places: int) -> str:
    """The warning that a run which goes on can't have as many requests in flight."""
    return (
        f"max-concurrency {count(wanted)}: this run has places for {count(places)}; stop it, and "
        "the same command resumes it with more"
    )
