"""The promise among real processes that share nothing but the memory."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.worlds import most_in_a_window
from penstock._core import REQUESTS, TOTAL_TOKENS, Limiter, monotonic_ns

HAMMER = Path(__file__).with_name("hammer.py")
MILLISECOND = 1_000_000
WINDOW = 100 * MILLISECOND
LIMIT, TOKENS = 4000, 7
SECONDS = 1.0


class Shared:
    """An unlinked file with an endpoint of two buckets in it, and hammers that map it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        os.truncate(fd, Limiter.bytes_needed(2))
        self.limiter = Limiter(mmap.mmap(fd, 0), 0, 2)
        now = monotonic_ns()
        # Both bind about equally, so that now one, now the other is the slowest.
        self.limiter.configure(0, REQUESTS, LIMIT, WINDOW, 40, MILLISECOND, now)
        self.limiter.configure(1, TOTAL_TOKENS, LIMIT * 5, WINDOW, 300, MILLISECOND, now)

    def start(self, seconds: float, horizon_ns: int) -> subprocess.Popen[bytes]:
        numbers = (self.fd, 2, int(seconds * 1e9), horizon_ns, TOKENS)
        return subprocess.Popen(
            [sys.executable, str(HAMMER), *map(str, numbers)],
            pass_fds=(self.fd,),
            stdout=subprocess.PIPE,
        )


def times_sent(process: subprocess.Popen[bytes]) -> list[int]:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return array("q", output).tolist()


def most_sent(times: list[int], cost: int) -> int:
    return most_in_a_window([(time, cost) for time in times], WINDOW)


@pytest.fixture
def shared() -> Iterator[Shared]:
    with tempfile.TemporaryFile() as file:
        yield Shared(file.fileno())


@pytest.mark.parametrize("horizon_ns", [0, MILLISECOND])
def test_processes_that_hammer_one_endpoint_keep_its_promise(
    shared: Shared, horizon_ns: int
) -> None:
    merged: list[int] = []
    # A collision needs two processes within some 20 ns; a machine too busy to run two of them at
    # once is given more rounds.
    for _ in range(10):
        for process in [shared.start(0.6, horizon_ns) for _ in range(3)]:
            merged += times_sent(process)
        if shared.limiter.collisions() > 0:
            break
    assert shared.limiter.collisions() > 0
    assert len(merged) > LIMIT / 2
    assert most_sent(merged, 1) <= LIMIT
    assert most_sent(merged, TOKENS) <= LIMIT * 5


def test_a_process_that_is_killed_blocks_nobody(shared: Shared) -> None:
    victims = [shared.start(60, 0) for _ in range(2)]
    survivor = shared.start(0.6, 0)
    while shared.limiter.level(0, monotonic_ns()) > 20 and survivor.poll() is None:
        pass
    for victim in victims:
        victim.kill()
        victim.communicate(timeout=60)
    times = times_sent(survivor)
    assert times and most_sent(times, TOKENS) <= LIMIT * 5
    due = shared.limiter.reserve(monotonic_ns() + WINDOW, 0, TOKENS, 0)
    assert due > 0


def test_a_pause_by_one_process_stops_the_others(shared: Shared) -> None:
    hammers = [shared.start(SECONDS, MILLISECOND) for _ in range(2)]
    while shared.limiter.level(0, monotonic_ns()) > 20 and hammers[0].poll() is None:
        pass
    until = monotonic_ns() + 2 * WINDOW
    assert shared.limiter.pause(until)
    paused = monotonic_ns()
    times = [time for hammer in hammers for time in times_sent(hammer)]
    assert min(times) < paused < until < max(times)
    assert not [time for time in times if paused < time < until]
