"""Many schedules of one seed each: every row ends, ends once and as it must, and no rule is broken.

A failing seed is in the test's name; it is played again by

    .venv/bin/python -m pytest tests/torture/test_schedules.py --seed N

`test_whole_runs` plays the real engine on a simulated machine (see world/run.py), `test_deciders`
the deciders alone, which is quicker (see deciders.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from torture.conftest import Figures
from torture.deciders import MAX_ATTEMPTS, Schedule
from torture.world.plot import Plot
from torture.world.stage import play

HERE = Path(__file__).resolve().parent
REPLAYED = range(7, 12)


@pytest.mark.timeout(600)
@pytest.mark.seeds(64, 2500)
def test_whole_runs(seed: int, figures: Figures) -> None:
    try:
        world = play(seed)
    except BaseException as error:
        error.add_note(replay(seed))
        error.add_note(f"what it has in store: {Plot(seed)}")
        raise
    figures(seeds=1, whole_runs=1, blows_in_whole_runs=world.trouble.deaths + world.trouble.stops)


@pytest.mark.seeds(240, 9500)
def test_deciders(seed: int, figures: Figures) -> None:
    schedule = Schedule(seed)
    try:
        schedule.play()
        check(schedule)
    except BaseException as error:
        error.add_note(replay(seed))
        raise
    figures(seeds=1, schedules_of_deciders=1)


def check(schedule: Schedule) -> None:
    """Every row ended as it had to."""
    assert sorted(schedule.endings) == list(range(schedule.rows))
    counted = Counter(schedule.endings.values())
    crashed = {row for row, name in schedule.endings.items() if name == "worker_crash"}
    assert crashed == schedule.poisoned
    for row, name in schedule.endings.items():
        if name == "":
            assert row not in schedule.rejected
        if name == "invalid_request":
            assert row in schedule.rejected
        if name == "server_error":
            assert schedule.attempts[row] >= MAX_ATTEMPTS
    if not schedule.trouble and not schedule.outage:
        assert counted.keys() <= {"", "invalid_request", "worker_crash"}


def test_a_seed_takes_the_same_course_in_every_process() -> None:
    """Else a failing seed could not be played again: no clock, no address, no hash may decide."""
    traces = []
    for hash_seed in ("1", "2"):
        script = (
            "from torture.world.stage import play\n"
            f"for seed in {list(REPLAYED)}: print(play(seed).machine.trace)\n"
        )
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(HERE.parent)}
        command = [sys.executable, "-c", script]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=100, check=True
        )
        traces.append(done.stdout.split())
    assert len(traces[0]) == len(REPLAYED)
    assert traces[0] == traces[1]


def replay(seed: int) -> str:
    return f"again: .venv/bin/python -m pytest tests/torture/test_schedules.py --seed {seed}"
