"""Ctrl+C and SIGTERM: the first drains, the second cuts, and the same command resumes."""

from __future__ import annotations

import signal

import pytest

from conftest import Simulate
from integration.conftest import MakePlace
from integration.place import Place
from penstock.simulator import SimulatorProcess

ROWS = 300
SLOTS = 32
NEVER = 3600.0  # seconds that an answer takes


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_lets_what_is_in_flight_finish_and_nothing_is_asked_twice(
    place: MakePlace, simulate: Simulate, number: signal.Signals, code: int
) -> None:
    run, provider = place(ROWS), simulate(ttft_seconds=0.3, ttft_spread=0.2)
    with run.start(provider.base_url, max_concurrency=SLOTS, workers=2) as live:
        live.until(lambda: provider.stats()["answered_bodies"] > 100)
        live.signal_all(number)
        ended = live.wait()
    assert ended.code == code, ended.stderr
    assert ended.stderr.count("Nothing is lost") == 1
    assert "penstock run" in ended.stderr
    assert ended.summary["p50_seconds"] > 0
    assert ended.summary["succeeded"] == provider.stats()["answered_bodies"]
    assert not run.output.exists()
    if number == signal.SIGINT:
        check_resumed(run, provider, ended.summary["succeeded"])


def check_resumed(run: Place, provider: SimulatorProcess, kept: int) -> None:
    """The same command asks for the rest, and for nothing else."""
    ended = run.run(provider.base_url, max_concurrency=ROWS)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert ended.summary["resumed"] == kept
    seen = provider.stats()
    assert seen["asked_again"] == 0
    assert seen["received"] == ROWS


def test_the_second_signal_cuts_what_is_in_flight_and_keeps_what_was_answered(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(ROWS), simulate(timeout=0.2)
    with run.start(provider.base_url, max_concurrency=SLOTS, workers=2) as live:
        live.until(lambda: provider.stats()["in_flight"] == SLOTS)
        answered = provider.stats()["answered_bodies"]
        live.signal(signal.SIGINT)
        live.until(lambda: [one for one in live.events() if one["event"] == "draining"])
        live.signal(signal.SIGINT)
        ended = live.wait(10.0)
    assert ended.code == 130, ended.stderr
    assert ended.summary["succeeded"] == answered


def test_a_drain_lasts_no_longer_than_its_grace(place: MakePlace, simulate: Simulate) -> None:
    run, provider = place(ROWS), simulate(ttft_seconds=NEVER, ttft_spread=0.0)
    with run.start(provider.base_url, max_concurrency=SLOTS, grace="0.5s") as live:
        live.until(lambda: provider.stats()["in_flight"] == SLOTS)
        live.signal(signal.SIGINT)
        ended = live.wait(10.0)
    assert ended.code == 130, ended.stderr
    assert ended.summary["succeeded"] == 0


def test_a_signal_that_comes_before_the_workers_are_ready_ends_the_run_at_once(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(ROWS), simulate()
    with run.start(provider.base_url, workers=4) as live:
        live.until(lambda: [one for one in live.events() if one["event"] == "run_started"])
        live.until(lambda: live.workers())
        live.signal(signal.SIGINT)
        ended = live.wait(20.0)
    assert ended.code == 130, ended.stderr
    assert ended.seconds < 15.0
