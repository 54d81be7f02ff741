"""Five minutes without a provider, and other bad weather: what is sent, and what ends."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from engine.transports import chat, error, response
from engine.virtual_time import Clock, VirtualLoop
from engine.weather import MARK, Station, Weather, record
from penstock.engine import retry
from penstock.transport.failure import Failure
from penstock.transport.transport import Response

GONE, BACK, OVER = 30.0, 330.0, 345.0
RATE = 10
SLOTS = 16
ANSWER_SECONDS = 0.5
HTML = b"<html><title>502 Bad Gateway</title></html>"


def good(text: str) -> tuple[float, Response]:
    return ANSWER_SECONDS, chat(f"echo: {text}")


def unreached(kind: str, seconds: float) -> tuple[float, Failure]:
    return seconds, Failure(kind, "it is gone", 0, 0)  # type: ignore[arg-type]


def broken(kind: str, seconds: float) -> tuple[float, Failure]:
    return seconds, Failure(kind, "it is gone", 1, 1)  # type: ignore[arg-type]


OUTAGES = {
    "refused": unreached("connect", 0.001),
    "black hole": unreached("connect_timeout", 10.0),
    "no name": unreached("dns", 0.01),
    "no tls": unreached("connect", 0.05),
    "closed": broken("disconnected", 0.01),
    "silent": broken("timeout", 60.0),
    "not http": broken("malformed", 0.01),
    "500": (0.02, error(500)),
    "502 page": (0.02, response(502, HTML)),
    "503 page": (0.02, response(503, HTML)),
    "503 page, come back in 20 s": (0.02, response(503, HTML, {"retry-after": "20"})),
}


def outage(came: tuple[float, Response | Failure]) -> Weather:
    return lambda now, text: came if GONE <= now < BACK else good(text)


@pytest.mark.parametrize("came", OUTAGES.values(), ids=OUTAGES)
def test_five_minutes_without_a_provider_cost_no_row_and_next_to_no_requests(
    clock: Clock, came: tuple[float, Response | Failure]
) -> None:
    """With one attempt too few to live through it, and at full rate again within seconds."""

    async def main(loop: VirtualLoop) -> None:
        station = Station(loop, outage(came), slots=SLOTS, max_attempts=2, rps=RATE)
        await asyncio.sleep(OVER)
        assert station.ended.failed == {}

        until_down = GONE + 2 * came[0] + retry.FAILURES_UNTIL_DOWN / RATE + 5
        assert station.downs  # more than once where answers to earlier requests still came
        assert all(GONE < at < until_down for at in station.downs)
        tried = [at for at in station.sky.tried if until_down < at < BACK]
        assert len(tried) <= BACK - until_down + 1  # a probe a second
        probing = SLOTS * retry.PROBING_SHARE
        assert len(tried) >= 0.5 * (BACK - until_down) * min(1.0, probing / came[0])

        most = 2 * SLOTS + retry.HEAP_PER_SLOT * SLOTS + SLOTS
        assert station.most_held <= most  # memory
        seconds = 10
        assert station.ended.between(BACK + 3, BACK + 3 + seconds) >= 0.9 * RATE * seconds
        assert station.ended.between(GONE - 15, GONE - 5) >= 0.9 * RATE * 10
        station.close()

    clock.run(main)


@pytest.mark.parametrize("rpm", [6, 60])
@pytest.mark.parametrize("max_attempts", [2, 5])
@pytest.mark.parametrize("kind", ["closed", "500", "502 page"])
def test_at_a_low_rate_too_an_outage_costs_no_row(
    clock: Clock, kind: str, rpm: int, max_attempts: int
) -> None:
    """A record's attempts were used up before ten had failed, and so each was a dead letter."""

    async def main(loop: VirtualLoop) -> None:
        weather = outage(OUTAGES[kind])
        station = Station(loop, weather, slots=4, max_attempts=max_attempts, rpm=rpm)
        await asyncio.sleep(OVER + 120)
        assert station.ended.failed == {}
        assert station.ended.between(BACK, OVER + 120) >= rpm
        station.close()

    clock.run(main)


@pytest.mark.parametrize("kind", ["closed", "500", "502 page"])
def test_the_last_records_of_a_run_live_through_half_a_minute_with_nobody_else_to_ask(
    clock: Clock, kind: str
) -> None:
    """Five attempts are over in eight seconds, and too few are left to find the endpoint down."""

    async def main(loop: VirtualLoop) -> None:
        came = OUTAGES[kind]
        station = Station(
            loop,
            lambda now, text: came if now < 30 else good(text),
            slots=4,
            max_attempts=5,
            most_rows=2,
        )
        await asyncio.sleep(100)
        assert station.ended.failed == {}
        assert sorted(station.ended.times) == [0, 1]
        station.close()

    clock.run(main)


def test_the_last_record_of_a_run_ends_soon_if_no_server_can_answer_it(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        station = Station(
            loop, lambda now, text: (0.02, error(500)), slots=4, max_attempts=3, most_rows=1
        )
        await asyncio.sleep(130)
        assert station.ended.failed == {0: "server_error"}
        assert station.ended.times[0] > 60
        assert station.downs == []
        station.close()

    clock.run(main)


def test_at_a_low_rate_a_record_that_no_server_can_answer_ends_all_the_same(clock: Clock) -> None:
    poisoned = {f"text {row}" for row in (0, 1, 2, 7, 20)}

    async def main(loop: VirtualLoop) -> None:
        def weather(now: float, text: str) -> tuple[float, Response | Failure]:
            return (0.02, error(500)) if text in poisoned else good(text)

        station = Station(loop, weather, slots=4, max_attempts=3, rpm=30)
        await asyncio.sleep(300)
        assert station.ended.failed == dict.fromkeys((0, 1, 2, 7, 20), "server_error")
        assert station.downs == []
        station.close()

    clock.run(main)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_while_answers_fail_at_random_retries_keep_to_their_budget(
    clock: Clock, share: float
) -> None:
    """A fifth of the requests, and ten a second: what a sick provider gets beyond its load."""
    turn = 0

    def weather(now: float, text: str) -> tuple[float, Response | Failure]:
        nonlocal turn
        turn += 1
        return (0.1, error(500)) if turn * 7919 % 100 < 100 * share else good(text)

    async def main(loop: VirtualLoop) -> None:
        station = Station(loop, weather, slots=SLOTS, max_attempts=100, rps=RATE * 10)
        await asyncio.sleep(30)
        texts = [text for _, text in station.sky.sent]
        fresh = len(set(texts))
        probes = 30 * bool(station.downs)  # and what is in flight when it is found to be down
        most = fresh * retry.BUDGET_SHARE + 31 * retry.BUDGET_PER_SECOND + probes
        most += len(station.downs) * SLOTS
        assert len(texts) - fresh <= most
        assert station.ended.failed == {}
        station.close()

    clock.run(main)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry_after": "120"}, 120),
        (
            {
                "retry_after": "Wed, 01 Jan 2025 00:10:00 GMT",
                "date": "Wed, 01 Jan 2025 00:00:00 GMT",
            },
            600,
        ),
    ],
)
def test_what_is_throttled_altogether_waits_as_long_as_it_is_told(
    clock: Clock, headers: dict[str, str], wait: int
) -> None:
    """Each time what has a slot is sent once, and no more."""

    async def main(loop: VirtualLoop) -> None:
        throttle = error(429, **headers)
        station = Station(
            loop,
            lambda now, text: (0.05, throttle),
            slots=SLOTS,
            max_attempts=1,
            beat_seconds=1.0,
        )
        periods = 3
        await asyncio.sleep(periods * wait * 1.1)
        times = [at for at, _ in station.sky.sent]
        assert len(times) <= (periods + 1) * SLOTS + 1  # the first throttle alone pauses nothing
        gaps = [b - a for a, b in itertools.pairwise(times) if b - a > 1]
        assert len(gaps) == periods
        assert all(gap >= wait * 0.99 for gap in gaps)
        assert station.ended.times == {}
        assert station.downs == []
        station.close()

    clock.run(main)


@pytest.mark.parametrize(
    "headers",
    [
        {"retry_after": "0"},
        {"retry_after": "-5"},
        {"retry_after": "soon"},
        {"retry_after": "Wed, 01 Jan 2020 00:00:00 GMT", "date": "Wed, 01 Jan 2025 00:00:00 GMT"},
        {"retry_after": "9" * 5000},
        {},
    ],
)
def test_a_throttle_that_names_no_wait_ahead_backs_off_and_comes_back(
    clock: Clock, headers: dict[str, str]
) -> None:
    """Two minutes of it are sent no more than retries may be, and end no record."""

    def weather(now: float, text: str) -> tuple[float, Response | Failure]:
        return (0.05, error(429, **headers)) if now < 120 else good(text)

    async def main(loop: VirtualLoop) -> None:
        station = Station(loop, weather, slots=SLOTS, max_attempts=1, rps=RATE)
        await asyncio.sleep(220)
        assert station.ended.failed == {}
        assert (
            len([1 for at, _ in station.sky.sent if at < 120])
            <= 130 * retry.BUDGET_PER_SECOND * 1.1
        )
        assert station.ended.between(190, 220) >= 0.9 * RATE * 30
        station.close()

    clock.run(main)


def test_a_record_too_large_for_the_limit_ends_and_its_neighbours_do_not_notice(
    clock: Clock,
) -> None:
    """The provider throttles it however long it waits; it is asked alone twice, and no more.

    For that it takes the limit for itself, twice: neighbours wait, and none is held against it.
    """
    limit, large, row = 10_000, 50_000, 900_000  # tokens
    asked = []

    def weather(now: float, text: str) -> tuple[float, Response | Failure]:
        if len(text) > 1000:
            asked.append(now)
            return 0.05, error(429, "rate_limit_exceeded", "tokens", retry_after="5")
        return good(text)

    async def main(loop: VirtualLoop) -> None:
        station = Station(loop, weather, slots=2, max_attempts=2, tpm=limit)
        station.work.add([record(row, 4 * large)], MARK)
        await asyncio.sleep(600)
        assert station.ended.failed == {row: "exceeds_limit"}
        assert station.ended.times[row] < 4 * 60
        assert len(set(asked)) <= 6
        assert station.ended.between(300, 600) > 50
        station.close()

    clock.run(main)
