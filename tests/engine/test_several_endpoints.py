"""A worker with several endpoints in changing weather: who is asked, and what that costs."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise

import pytest

from engine.transports import chat, error, response
from engine.virtual_time import Clock, VirtualLoop
from engine.weather import MARK, Place, Station, Weather, record
from penstock.engine import retry
from penstock.transport.failure import Failure
from penstock.transport.transport import Response

SECONDS = 0.5
Came = tuple[float, Response | Failure]


def good(now: float, text: str) -> Came:
    return SECONDS, chat(f"echo: {text}")


def always(came: Came) -> Weather:
    return lambda now, text: came


def between(begin: float, end: float, came: Came) -> Weather:
    return lambda now, text: came if begin <= now < end else good(now, text)


REFUSED = 0.001, Failure("connect", "refused", 0, 0)
RESET = 0.01, Failure("disconnected", "reset", 1, 1)
HTML_502 = 0.02, response(502, b"<html><title>Bad Gateway</title></html>")
REVOKED = 0.02, error(401, "invalid_api_key")
THROTTLED = 0.02, error(429, retry_after="60")


async def until(station: Station, ended: int, most_seconds: float = 600.0) -> float:
    """Seconds until so many rows ended."""
    async with asyncio.timeout(most_seconds):
        while len(station.ended.times) < ended:  # noqa: ASYNC110  # time is virtual
            await asyncio.sleep(0.05)
    return station.sky.now()


def test_each_endpoint_is_asked_as_much_as_its_own_limit_allows(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        others = [Place(good, {"rps": 10}), Place(good, {"rps": 20})]
        station = Station(loop, good, slots=32, max_attempts=1, others=others, rps=5)
        await asyncio.sleep(20)
        sent = Counter(station.sky.to)
        for place, rate in enumerate((5, 10, 20)):
            assert sent[place] == pytest.approx(20 * rate, rel=0.1)
        station.close()

    clock.run(main)


@pytest.mark.parametrize("slots", [2, 16])
def test_without_limits_the_quicker_endpoint_answers_more(clock: Clock, slots: int) -> None:
    async def main(loop: VirtualLoop) -> None:
        slow = Place(lambda now, text: (2.0, chat(f"echo: {text}")))
        station = Station(loop, good, slots=slots, max_attempts=1, others=[slow])
        await asyncio.sleep(20)
        by = Counter(station.ended.by.values())
        assert by[0] == pytest.approx(slots * 20 / 0.5, rel=0.05)
        assert by[1] == pytest.approx(slots * 20 / 2, rel=0.15)
        station.close()

    clock.run(main)


def test_where_capacity_is_free_requests_are_shared_out_by_weight(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        others = [Place(good, weight=3.0)]
        station = Station(
            loop, good, slots=16, max_attempts=1, others=others, most_rows=0, beat_seconds=1.0
        )
        for row in range(400):
            station.work.add([record(row)], MARK)
            await asyncio.sleep(0.2)
        await until(station, 400)
        by = Counter(station.ended.by.values())
        assert by[1] / by[0] == pytest.approx(3, rel=0.2)
        station.close()

    clock.run(main)


@pytest.mark.parametrize("came", [REFUSED, RESET, HTML_502])
def test_an_endpoint_that_goes_costs_no_record_and_hardly_any_time_and_comes_back(
    clock: Clock, came: Came
) -> None:
    """Though a record may be tried once only."""

    async def main(loop: VirtualLoop) -> None:
        others = [Place(between(10, 40, came), {"rps": 10})]
        station = Station(loop, good, slots=16, max_attempts=1, others=others, rps=10)
        await asyncio.sleep(60)
        ended = station.ended
        assert ended.failed == {}
        assert set(ended.attempts.values()) <= {0, 1}
        assert ended.between(2, 9) >= 0.9 * 20 * 7
        assert ended.between(15, 39) >= 0.9 * 10 * 24, "the other one goes on at its full rate"
        assert ended.between(43, 59) >= 0.9 * 20 * 16
        tried = [at for at, to in zip(station.sky.sent, station.sky.to, strict=True) if to == 1]
        probes = [at for at, _ in tried if 15 < at < 40]
        assert len(probes) <= 26, "it is left alone, but for a probe a second"
        assert station.lanes[1].lives
        station.close()

    clock.run(main)


def test_what_one_endpoint_fails_another_is_asked_and_soon(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        failing = Place(always((0.01, error(500))))
        station = Station(loop, good, slots=4, max_attempts=2, others=[failing], most_rows=40)
        took = await until(station, 40)
        assert set(station.ended.by.values()) == {0}
        assert station.ended.failed == {}
        assert took < 40 / 4 * SECONDS + 2
        asked = Counter(text for _, text in station.sky.sent)
        assert max(asked.values()) <= 3, "it failed once, or was a probe too"
        station.close()

    clock.run(main)


def test_a_record_that_no_endpoint_can_answer_ends_by_its_attempts(clock: Clock) -> None:
    def poisoned(now: float, text: str) -> Came:
        return (0.02, error(500)) if text == "text 3" else good(now, text)

    async def main(loop: VirtualLoop) -> None:
        station = Station(
            loop, poisoned, slots=4, max_attempts=3, others=[Place(poisoned)], most_rows=200
        )
        await until(station, 200)
        assert station.ended.failed == {3: "server_error"}
        asked = [
            to
            for (_, text), to in zip(station.sky.sent, station.sky.to, strict=True)
            if text == "text 3"
        ]
        assert len(asked) == 3 + 2, "its first failure at each endpoint is forgiven"
        assert {0, 1} == set(asked)
        assert all(one != other for one, other in pairwise(asked))
        assert station.downs == []
        station.close()

    clock.run(main)


def test_retries_at_all_endpoints_together_keep_to_one_budget(clock: Clock) -> None:
    asked: Counter[str] = Counter()

    def weather(now: float, text: str) -> Came:
        asked[text] += 1  # the sky looks twice
        return (0.01, response(200, b"no JSON") if asked[text] < 8 else chat(f"echo: {text}"))

    async def main(loop: VirtualLoop) -> None:
        others = [Place(weather)]
        station = Station(loop, weather, slots=8, max_attempts=9, others=others, most_rows=100)
        took = await until(station, 100)
        assert station.ended.failed == {}
        at_once = retry.BUDGET_PER_SECOND + retry.BUDGET_SHARE * 100
        retries = len(station.sky.sent) - 100
        assert retries == 300
        assert took > (retries - at_once) / retry.BUDGET_PER_SECOND - 1
        station.close()

    clock.run(main)


def test_a_throttling_endpoint_is_left_alone_for_as_long_as_it_says(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        others = [Place(between(10, 12, THROTTLED))]
        station = Station(loop, good, slots=8, max_attempts=1, others=others, rps=10)
        await asyncio.sleep(110)
        sent = zip(station.sky.sent, station.sky.to, strict=True)
        times = [at for (at, _), to in sent if to == 1]
        paused = [at for at in times if 12 < at < 69]
        assert paused == []
        assert any(at > 70 for at in times)
        assert station.ended.failed == {}
        ended = sorted(station.ended.times.values())
        gaps = [later - sooner for sooner, later in pairwise(ended)]
        assert max(gaps) < 1.5, "what it throttled was asked for elsewhere at once"
        station.close()

    clock.run(main)


def test_one_endpoints_fatal_verdict_takes_it_out_and_its_records_go_elsewhere(
    clock: Clock,
) -> None:
    async def main(loop: VirtualLoop) -> None:
        others = [Place(between(5, 1e9, REVOKED))]
        station = Station(loop, good, slots=8, max_attempts=1, others=others, most_rows=600)
        await until(station, 600)
        assert station.ended.failed == {}
        assert len(station.fatals) == 1, "it is told once"
        assert station.lanes[1].out
        refused = [
            at
            for (at, _), to in zip(station.sky.sent, station.sky.to, strict=True)
            if to == 1 and at >= 5
        ]
        assert len(refused) <= 8, "what was in flight, and no more"
        station.close()

    clock.run(main)


def test_with_all_endpoints_down_both_are_probed_and_no_attempt_is_used_up(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        gone = between(10, 130, RESET)
        station = Station(loop, gone, slots=8, max_attempts=2, others=[Place(gone)], rps=10)
        await asyncio.sleep(150)
        assert station.ended.failed == {}
        sent = zip(station.sky.sent, station.sky.to, strict=True)
        probes = Counter(to for (at, _), to in sent if 20 < at < 120)
        assert all(80 <= probes[place] <= 101 for place in (0, 1))
        assert station.ended.between(135, 145) > 50
        station.close()

    clock.run(main)


def test_at_a_runs_end_no_record_is_spent_on_a_probe_of_the_one_that_is_down(clock: Clock) -> None:
    """A server that says nothing would hold it until its timeout."""

    async def main(loop: VirtualLoop) -> None:
        silent = Place(between(1, 1e9, (300.0, Failure("timeout", "silent", 1, 1))))
        station = Station(loop, good, slots=2, max_attempts=1, others=[silent], most_rows=80)
        for _ in range(retry.FAILURES_UNTIL_DOWN):
            station.lanes[1].limiter.record_failure()
        station.work.exhausted = True  # type: ignore[misc]
        assert await until(station, 80) < 30
        assert set(station.ended.by.values()) == {0}
        station.close()

    clock.run(main)


@pytest.mark.parametrize("downs", [False, True])
def test_records_that_begin_alike_go_to_the_same_endpoint_and_elsewhere_when_it_is_gone(
    clock: Clock, downs: bool
) -> None:
    async def main(loop: VirtualLoop) -> None:
        others = [Place(always(REFUSED) if downs else good), Place(good)]
        station = Station(
            loop, good, slots=64, max_attempts=1, others=others, affinity_bytes=80, most_rows=0
        )
        if downs:
            for _ in range(retry.FAILURES_UNTIL_DOWN):
                station.lanes[1].limiter.record_failure()
        homes: dict[int, Counter[int]] = {n: Counter() for n in range(12)}
        for row in range(240):
            one = record(row)
            one.fields["text"] = f"document {row % 12}".ljust(60, "=") + f" text {row}"  # type: ignore[index]
            station.work.add([one], MARK)
            await asyncio.sleep(0.05)
        await until(station, 240)
        for row, place in station.ended.by.items():
            homes[row % 12][place] += 1
        alike = sum(max(found.values()) for found in homes.values())
        assert alike >= 0.97 * 240
        used = {found.most_common(1)[0][0] for found in homes.values()}
        assert len(used) == (2 if downs else 3)
        station.close()

    clock.run(main)


def test_a_full_home_is_waited_for_a_while_and_then_another_endpoint_is_asked(
    clock: Clock,
) -> None:
    async def main(loop: VirtualLoop) -> None:
        station = Station(
            loop,
            good,
            slots=4,
            max_attempts=1,
            others=[Place(good)],
            affinity_bytes=40,
            most_rows=200,
        )
        took = await until(station, 200)
        by = Counter(station.ended.by.values())
        assert len(by) == 2 and max(by.values()) > 105
        assert took < 200 / 4 * SECONDS * 0.85, "better than one endpoint alone"
        station.close()

    clock.run(main)
