"""Why a worker ended, in words. What the crew does is tested with the supervisor, in its world."""

from __future__ import annotations

import pytest

from engine.crew import FakeWorker, World
from engine.virtual_time import Clock, VirtualLoop
from penstock.engine.crew import cause_of, ending


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "exit status 0"), (70, "exit status 70"), (-11, "killed by SIGSEGV"), (-99, "signal 99")],
)
def test_an_exit_status_is_said_in_words(status: int, words: str) -> None:
    assert words in ending(status)


def test_the_cause_of_an_end_is_the_hang_then_its_own_words_then_its_status(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        worker = FakeWorker(World(loop), 1, 0, 1, None, False)  # type: ignore[arg-type]
        assert cause_of(worker, -9) == "killed by SIGKILL"  # type: ignore[arg-type]
        worker.failure = "Traceback (most recent call last):\n  ...\nKeyError: 'x'\n"
        assert cause_of(worker, -9) == "KeyError: 'x'"  # type: ignore[arg-type]
        worker.was_hung = True
        assert cause_of(worker, -9) == "gave no heartbeat for 30 s"  # type: ignore[arg-type]

    clock.run(main)
