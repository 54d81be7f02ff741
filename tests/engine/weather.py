"""A worker's whole way of a record in virtual time, under a provider whose weather changes.

Work, asker, pacer, limiter and dialect are the real ones; the transport answers as the provider
would at that time, and remembers when it was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from engine.limiters import limiter, slab
from engine.usual import USUAL_WORK
from engine.virtual_time import START_NS, VirtualLoop
from penstock._core import Slab
from penstock.engine.asker import Asker
from penstock.engine.attempt import Attempt
from penstock.engine.lane import Lane
from penstock.engine.limits import buckets_of
from penstock.engine.pacer import Pacer
from penstock.engine.pending import Pending
from penstock.engine.routed_work import RoutedWork
from penstock.engine.work import Work
from penstock.job import Job
from penstock.ledger.mark import ShardMark
from penstock.observe.redactor import Redactor
from penstock.providers.openai import OpenAI
from penstock.record import Record
from penstock.transport.failure import Failure
from penstock.transport.transport import Counters, Ready, Request, Response

URL = "http://api.example/v1"
MARK = ShardMark(0, 1_000_000, 7)

# What the provider does with a request at this second: how long it takes, and what comes of it.
Weather = Callable[[float, str], tuple[float, Response | Failure]]


class Place(NamedTuple):
    """An endpoint beside the first: its weather, limits and weight."""

    weather: Weather
    limits: dict[str, Any] = {}  # noqa: RUF012
    weight: float = 1.0


class Sky:
    """The transport."""

    def __init__(self, loop: VirtualLoop, *weathers: Weather) -> None:
        self.counters = Counters()
        self.to: list[int] = []  # which endpoint each of `sent` went to
        self.tried: list[float] = []  # when each request was to be sent, in seconds
        self.sent: list[tuple[float, str]] = []  # those that were, and their text
        self.in_flight = 0
        self._loop = loop
        self._weathers = weathers

    def now(self) -> float:
        return (self._loop.now_ns - START_NS) / 1e9

    async def send(self, request: Request, ready: Ready | None = None) -> Response | Failure:
        text = msgspec.json.decode(request.body)["messages"][0]["content"]
        self.tried.append(self.now())
        place = int(request.url.partition("//")[2].partition(".")[0].removeprefix("api") or 0)
        weather = self._weathers[place]
        seconds, came = weather(self.now(), text)
        if isinstance(came, Failure) and not came.sent_ns:  # no connection, so no ticket
            await asyncio.sleep(seconds)
            return came
        assert ready is not None
        if (waiting := ready()) is not None:
            await waiting
        sent_ns = self._loop.now_ns
        self.sent.append((self.now(), text))
        self.to.append(place)
        seconds, came = weather(self.now(), text)
        self.in_flight += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.in_flight -= 1
        return msgspec.structs.replace(came, sent_ns=sent_ns, done_ns=self._loop.now_ns)

    async def close(self) -> None:
        pass


class Ended:
    """How records ended, and when."""

    def __init__(self, sky: Sky) -> None:
        self.congested = False
        self.times: dict[int, float] = {}
        self.failed: dict[int, str] = {}
        self.by: dict[int, int] = {}  # the endpoint that answered last
        self.attempts: dict[int, int] = {}
        self._sky = sky

    def after_attempt(self, pending: Pending, attempt: Attempt, error_class: str) -> None:
        row = pending.record.row
        assert row not in self.times, f"row {row} ended twice"
        self.times[row] = self._sky.now()
        self.by[row], self.attempts[row] = pending.lane, pending.attempts
        if error_class:
            self.failed[row] = error_class
        else:
            assert attempt.answer is not None
            assert attempt.answer.output is not None
            assert attempt.answer.output.startswith("echo: ")
            assert attempt.answer.output.split("=")[-1].endswith(f"text {row}")

    def between(self, begin: float, end: float) -> int:
        """How many ended in this span."""
        return sum(begin <= at < end for at in self.times.values())


class Station:
    """One worker, fed as it asks."""

    def __init__(
        self,
        loop: VirtualLoop,
        weather: Weather,
        *,
        slots: int,
        max_attempts: int,
        beat_seconds: float = 0.05,
        most_rows: int = 1_000_000,
        others: Sequence[Place] = (),
        affinity_bytes: int = 0,
        **limits: Any,
    ) -> None:
        places = [Place(weather, limits), *others]
        self.sky = Sky(loop, *(place.weather for place in places))
        self.ended = Ended(self.sky)
        self.downs: list[float] = []  # when
        self.fatals: list[Attempt] = []
        self.most_held = 0
        self.rows = 0
        counts = slab(slots * len(places))
        self.lanes = [self._lane(n, place, slots, counts) for n, place in enumerate(places)]
        self.limiter, self.pacer = self.lanes[0].limiter, self.lanes[0].asker.pacer
        slots *= len(places)
        make = partial(RoutedWork, affinity_bytes=affinity_bytes) if others else Work
        self.work = make(
            slots=slots,
            max_attempts=max_attempts,
            lanes=self.lanes,
            slab=counts,
            ending=self.ended,  # type: ignore[arg-type]
            on_fatal=lambda _, attempt: self.fatals.append(attempt),
            on_down=lambda *_: self.downs.append(self.sky.now()),
            **USUAL_WORK,
        )
        self._slots = slots
        self._beat_seconds = beat_seconds
        self._most_rows = most_rows
        self._tasks = [loop.create_task(self.work.run_slot(slot)) for slot in range(slots)]
        self._tasks.append(loop.create_task(self._beat()))

    def _lane(self, number: int, place: Place, slots: int, counts: Slab) -> Lane:
        """A lane with so many places; the first one's URL is URL."""
        provider = OpenAI(Job(model="m", prompt="{{ text }}", base_url=URL))
        limits, url = limiter(**place.limits), URL.replace("api", f"api{number or ''}")
        asker = Asker(provider, self.sky, Pacer(limits), counts, url)
        asker.use_headers({}, Redactor(()))
        buckets = buckets_of(Job(**place.limits), 1)
        return Lane(
            number, f"api{number}", provider, asker, limits, buckets, slots, weight=place.weight
        )

    async def _beat(self) -> None:
        while True:
            self._feed()
            self.work.dispatch()
            self.most_held = max(self.most_held, self.work.held)
            await asyncio.sleep(self._beat_seconds)

    def _feed(self) -> None:
        """Ask for rows as a worker does: by what it has not taken up yet."""
        missing = 2 * self._slots - self.work.taken_up
        rows = range(self.rows, min(self._most_rows, self.rows + max(0, missing)))
        self.rows = max(self.rows, rows.stop)
        self.work.add([record(row) for row in rows], MARK)

    def close(self) -> None:
        self.work.drain()
        for task in self._tasks:
            task.cancel()


def record(row: int, size: int = 0) -> Record:
    """A row with a text of its own, of at least so many characters."""
    return Record(row, f"in:{row}", fields={"text": f"text {row}".ljust(size)})
