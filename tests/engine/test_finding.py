"""Limits that find themselves, against servers that tell nothing of theirs, in virtual time.

What a server gives at best is known here, and not to the finder: after a warm-up it has to get nine
tenths of that, with fewer than one throttled request in a hundred.
"""

from __future__ import annotations

from typing import Any

import pytest

from engine.servers import Client, Outcome, Server
from penstock.engine.concurrency import Sample
from penstock.engine.finding import Finder
from penstock.engine.pace import Pace

MOST, FIRST = 2048, 32
LATENCY = 0.9  # seconds, in the mean
PER_RECORD = 160  # tokens, in the mean
SEEDS = range(2)


def run(server: Server, seconds: float, most: int = MOST, first: int = FIRST) -> Outcome:
    return Client(server, Finder(most, first), first).run(seconds)


# Limits, seconds of the run and of its warm-up, and requests per second at best.
SERVERS: dict[str, tuple[dict[str, Any], float, float, float]] = {
    "requests per second": ({"rps": 50}, 240, 90, 50),
    "many requests per second": ({"rps": 300}, 90, 45, 300),
    "requests per second, no wait named": ({"rps": 50, "names_wait": False}, 240, 90, 50),
    "requests per minute": ({"rpm": 600}, 400, 120, 10),
    "tokens per minute": ({"tpm": 100_000}, 500, 150, 100_000 / 60 / PER_RECORD),
    "a few at once": ({"concurrency": 4}, 300, 60, 4 / LATENCY),
    "some at once": ({"concurrency": 50, "names_wait": False}, 120, 30, 50 / LATENCY),
    "many at once": ({"concurrency": 300}, 60, 20, 300 / LATENCY),
    "a queue of one": ({"servers": 1}, 240, 30, 1 / LATENCY),
    "a silent queue": ({"servers": 20}, 120, 30, 20 / LATENCY),
    "a long silent queue": ({"servers": 200}, 60, 20, 200 / LATENCY),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", SERVERS)
def test_a_hidden_limit_is_used_to_nine_tenths_and_hardly_met(name: str, seed: int) -> None:
    limits, seconds, warm_up, best = SERVERS[name]
    outcome = run(Server(seed=seed, **limits), seconds)
    assert outcome.per_second(warm_up) >= 0.9 * best
    assert outcome.throttled(warm_up) < 0.01


def test_a_server_that_queues_is_not_drowned() -> None:
    outcome = run(Server(servers=20), 120)
    assert max(outcome.allowed) <= 4 * 20
    assert max(outcome.allowed[len(outcome.allowed) // 2 :]) <= 3 * 20


def test_a_server_without_a_limit_is_soon_asked_all_there_is() -> None:
    """Doubling takes a latency and a half."""
    outcome = run(Server(), 15, most=512)
    assert outcome.allowed[-1] == 512
    assert outcome.allowed[4 * 9] == 512


def test_a_server_that_works_in_batches_is_given_more_than_its_first_latency_suggests() -> None:
    """Each answer takes longer with others beside it, but all together come sooner."""
    outcome = run(Server(batch=32), 90)
    assert outcome.per_second(30) >= 0.6 * 32 / LATENCY


def test_throttles_that_no_limit_explains_hold_nothing_back_for_long() -> None:
    outcome = run(Server(throttled=0.01), 180, most=256)
    assert outcome.per_second(120) >= 0.9 * 256 / LATENCY


def test_a_slow_rate_falls_no_faster_than_throttles_tell() -> None:
    """Of a request every few seconds one throttle says little: four are waited for each time."""
    pace, second = Pace(), 1_000_000_000
    sample = Sample(second)
    pace.note(sample)
    pace.engage(sample, 0, is_full=False)
    rates = []
    for throttles in range(1, 9):
        sample = Sample(10 * throttles * second, answers=2 * throttles, throttles=throttles)
        pace.note(sample)
        pace.look(sample, 0, held_ns=second, trip_ns=second)
        assert pace.per_second is not None
        rates.append(pace.per_second)
    assert rates[2] > 0.6  # of one a second
    assert rates[7] > 0.4
    assert pace.in_vain == pytest.approx(1 / 3)


def test_a_limit_that_falls_and_rises_again_is_followed() -> None:
    server = Server(concurrency=60)
    client = Client(server, Finder(MOST, FIRST), FIRST)
    client.run(60)
    server.concurrency = 15
    client.run(120)
    assert client.outcome.per_second(120) >= 0.75 * 15 / LATENCY
    server.concurrency = 60
    client.run(400)
    assert client.outcome.per_second(500) >= 0.5 * 60 / LATENCY


def test_answers_that_are_longer_for_their_own_sake_are_not_punished() -> None:
    server = Server(ttft_seconds=0.05)
    client = Client(server, Finder(64, 16), 16)
    client.run(30)
    assert client.outcome.allowed[-1] == 64
    server.tokens *= 10
    client.run(60)
    assert min(client.outcome.allowed[-100:]) == 64


@pytest.mark.parametrize("limits", [{"rps": 50}, {"concurrency": 3}, {"servers": 2}, {}])
def test_what_is_found_never_exceeds_the_most(limits: dict[str, Any]) -> None:
    outcome = run(Server(**limits), 60, most=20, first=20)
    assert min(outcome.allowed) >= 1
    assert max(outcome.allowed) <= 20


def test_a_server_that_becomes_slower_by_itself_is_not_left_alone() -> None:
    """Fewer in flight do not help there, so what was taken is given back."""
    server = Server()
    client = Client(server, Finder(64, 16), 16)
    client.run(20)
    server.ttft_seconds, server.seconds_per_token = 1.5, 0.05
    client.run(120)
    assert client.outcome.allowed[-1] >= 48
