"""The provider of a simulated world, and the judge of what it is sent.

It answers as the rows' fates and the weather say, and holds every request against the rules: by the
time of sending, whoever sent it.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from engine.transports import chat, error
from penstock import _core
from penstock.engine.limits import Bucket
from penstock.transport.failure import Failure, Kind
from penstock.transport.transport import Response

if TYPE_CHECKING:
    from torture.world.plot import Plot
    from torture.world.worker import Hand

SECOND_NS = 1_000_000_000
FORGIVING = 3  # failures of a sound row by the weather, in all: fewer than --max-attempts

# How a request ends: answered, answered by an error, or not answered.
OK, REJECTED, BROKEN, THROTTLED, UNAVAILABLE, SILENT, RESET, GARBLED, UNAUTHORIZED = range(9)
FAILING = (UNAVAILABLE, SILENT, RESET, GARBLED)


@dataclass
class Exchange:
    """One request, from its sending to its end."""

    hand: Hand
    row: int
    sent_ns: int
    predicted: tuple[int, int]
    used: tuple[int, int]
    outcome: int
    seconds: float
    wait_seconds: float | None = None


@dataclass
class Provider:
    """What is known of every request that was sent."""

    plot: Plot
    buckets: list[Bucket] = field(default_factory=list)
    sent: list[Exchange] = field(default_factory=list)
    open: dict[int, Exchange] = field(default_factory=dict)  # by row, of live processes
    failures: Counter[int] = field(default_factory=Counter)
    bought: Counter[int] = field(default_factory=Counter)
    outage_kind: int | None = None
    most_open: int = 0
    _eras: list[tuple[int, list[Bucket]]] = field(default_factory=list)

    @property
    def refuses(self) -> bool:
        """Whether no connection can be made."""
        return self.outage_kind == RESET

    def receive(self, hand: Hand, row: int, now_ns: int, predicted: tuple[int, int]) -> Exchange:
        """A request was sent."""
        other = self.open.get(row)
        assert other is None, f"row {row} is asked for by {hand.name} and by {other.hand.name}"  # type: ignore[union-attr]
        outcome = self._outcome(row)
        used = self._usage(row, predicted, outcome)
        dice = self.plot.dice
        seconds = self.plot.latency * dice.uniform(0.2, 2.0)
        wait = dice.choice([None, 0.3, 2.0]) if outcome == THROTTLED else None
        exchange = Exchange(hand, row, now_ns, predicted, used, outcome, seconds, wait)
        self.sent.append(exchange)
        self.open[row] = exchange
        self.most_open = max(self.most_open, len(self.open))
        return exchange

    def _outcome(self, row: int) -> int:
        plot, dice = self.plot, self.plot.dice
        if self.outage_kind is not None:
            return self.outage_kind
        if row in plot.broken:
            return BROKEN
        if dice.random() < plot.throttling:
            return THROTTLED
        if dice.random() < plot.failing and self.failures[row] < FORGIVING:
            self.failures[row] += 1
            return dice.choice(FAILING)
        return REJECTED if row in plot.rejected else OK

    def _usage(self, row: int, predicted: tuple[int, int], outcome: int) -> tuple[int, int]:
        if outcome != OK:
            return predicted[0], 0
        return self.plot.usage(row)

    def ended(self, exchange: Exchange) -> None:
        """A request is out no more, or its process is dead."""
        self.open.pop(exchange.row, None)

    def response(self, exchange: Exchange, now_ns: int) -> Response | Failure:
        """What comes back."""
        match exchange.outcome:
            case 0:  # OK
                inputs, outputs = exchange.used
                self.bought[exchange.row] += 1
                return stamped(
                    chat(answer(exchange.row), prompt_tokens=inputs, completion_tokens=outputs),
                    exchange,
                    now_ns,
                )
            case 1:
                came = error(400, "invalid_value", "invalid_request_error")
            case 2 | 4:
                came = error(503, None, "server_error")
            case 3:
                wait = exchange.wait_seconds
                headers = {"Retry_After": str(wait)} if wait is not None else {}
                came = error(429, "rate_limit_exceeded", "requests", **headers)
            case 5:
                return failed("timeout", exchange, now_ns)
            case 6:
                return failed("disconnected", exchange, now_ns)
            case 7:
                came = error(502)
            case _:
                came = error(401, "invalid_api_key", "invalid_request_error")
        return stamped(came, exchange, now_ns)

    # --- judging ----------------------------------------------------------------------------------

    def begin_era(self, now_ns: int, buckets: list[Bucket]) -> None:
        """From now on these are the limits; that they are what they were begins nothing new."""
        if buckets != self.buckets:
            self.buckets = buckets
            self._eras.append((now_ns, buckets))

    def check_limits(self) -> None:
        """No half-open window holds more than was promised, by the times of sending."""
        for (began_ns, buckets), (end_ns, _) in pairwise([*self._eras, (sys.maxsize, [])]):
            era = [one for one in self.sent if began_ns <= one.sent_ns < end_ns]
            for bucket in buckets:
                if bucket.limit is None:
                    continue
                costs = (min(cost(bucket, one.predicted), cost(bucket, one.used)) for one in era)
                spent = list(zip((one.sent_ns for one in era), costs, strict=True))
                most = most_in_a_window(spent, bucket.window_ns)
                assert most <= bucket.limit, f"{most} {bucket.name} were sent of {bucket.limit}"


def cost(bucket: Bucket, tokens: tuple[int, int]) -> int:
    """What a request takes of a bucket; one that is larger than the limit is charged as that."""
    whole = {
        _core.REQUESTS: 1,
        _core.TOTAL_TOKENS: sum(tokens),
        _core.INPUT_TOKENS: tokens[0],
        _core.OUTPUT_TOKENS: tokens[1],
    }
    return min(whole[bucket.resource], bucket.limit or sys.maxsize)


def most_in_a_window(sends: list[tuple[int, int]], window_ns: int) -> int:
    """The largest cost of any half-open window."""
    most = inside = first = 0
    for time, amount in sends:
        inside += amount
        while sends[first][0] <= time - window_ns:
            inside -= sends[first][1]
            first += 1
        most = max(most, inside)
    return most


def answer(row: int) -> str:
    """The right answer to a row."""
    return f"the answer to row {row}"


def stamped(came: Response, exchange: Exchange, now_ns: int) -> Response:
    came.sent_ns, came.done_ns = exchange.sent_ns, now_ns
    return came


def failed(kind: Kind, exchange: Exchange, now_ns: int) -> Failure:
    return Failure(kind, "the weather", exchange.sent_ns, now_ns)


def row_of(body: bytes) -> int:
    """The row that a request is for: its record ends with its number."""
    end = body.index(b"#")
    start = body.rindex(b" ", 0, end)
    return int(body[start:end])
