"""A wall clock that jumps, and processes that wake late: timestamps are all that notices."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime

import pytest

from conftest import Simulate
from integration.conftest import MakePlace
from integration.test_kills import IMPATIENT
from integration.test_rate import busiest_second, sent_at

# In every process, from its start on and in the middle of the run, by years and by hours.
JUMPING = """
import time
real, real_ns, began, jumps = time.time, time.time_ns, time.monotonic(), {jumps}
def shift():
    passed = time.monotonic() - began
    return sum(seconds for after, seconds in jumps if passed >= after)
time.time = lambda: real() + shift()
time.time_ns = lambda: real_ns() + int(shift() * 1e9)
from penstock import _core
real_us = _core.wall_us
_core.wall_us = lambda: real_us() + int(shift() * 1e6)
"""
YEAR = 365 * 86_400.0
JUMPS = {
    "forward": [(0.0, YEAR), (1.2, 20 * YEAR)],
    "to and fro": [(0.7, 7200.0), (1.0, -14_400.0), (1.3, 10 * YEAR), (1.6, -30 * YEAR)],
}


@pytest.mark.parametrize("jumps", JUMPS.values(), ids=JUMPS)
def test_a_clock_that_jumps_changes_nothing_but_timestamps(
    place: MakePlace, simulate: Simulate, jumps: list[tuple[float, float]]
) -> None:
    run, provider = place(300), simulate(ttft_seconds=0.05, rps=200, throttle=0.02)
    run.patched(JUMPING.format(jumps=jumps))
    ended = run.run(provider.base_url, max_concurrency=32, rps=150)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert not [one for one in run.events() if one["event"] == "worker_replaced"]
    assert provider.stats()["limited"] == {}
    assert provider.stats()["asked_again"] == 0
    assert 0 < ended.summary["wall_seconds"] < 60
    finished = [datetime.fromisoformat(row["finished_at"]) for row in run.results()]
    assert (max(finished) - min(finished)).total_seconds() > 3600  # the clock did jump
    assert run.penstock("status", run.run_dir).code == 0
    run.patched(JUMPING.format(jumps=[(0.0, -40 * YEAR)]))  # and it resumes before it began
    assert run.run(provider.base_url).code == 0


def test_a_worker_that_wakes_late_sends_no_burst_beyond_the_limit(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(1500), simulate(ttft_seconds=0.02)
    with run.start(provider.base_url, max_concurrency=64, workers=2, rps=250) as live:
        sleeper = live.until_running(2)[0]
        for _ in range(2):
            answered = provider.stats()["received"]
            live.until(lambda: provider.stats()["received"] > answered + 60)  # noqa: B023
            os.kill(sleeper.pid, signal.SIGSTOP)
            live.until(lambda: provider.stats()["received"] > answered + 160)  # noqa: B023
            os.kill(sleeper.pid, signal.SIGCONT)
        ended = live.wait()
    assert ended.code == 0, ended.stderr
    run.check_answers()
    # When they were sent is what is promised: a busy machine has them arrive together.
    assert busiest_second(sorted(map(sent_at, run.results()))) <= 250
    assert provider.stats()["asked_again"] == 0


def test_a_supervisor_that_wakes_late_takes_no_worker_for_hung(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(900), simulate(ttft_seconds=0.02)
    run.patched(IMPATIENT)
    with run.start(provider.base_url, max_concurrency=16, workers=2, rps=200) as live:
        live.until_running(2)
        live.until(lambda: provider.stats()["received"] > 100)
        live.signal(signal.SIGSTOP)
        time.sleep(7.0)  # longer than a worker may be silent
        live.signal(signal.SIGCONT)
        ended = live.wait()
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert not [one for one in run.events() if one["event"] == "worker_replaced"]
    assert provider.stats()["asked_again"] == 0
