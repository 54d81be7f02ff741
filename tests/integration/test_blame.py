"""Rows that kill the worker that asks for them: found, and the only ones to pay."""

from __future__ import annotations

import resource

import pytest

from conftest import Simulate
from integration.conftest import MakePlace

ROWS = 200
POISONS = ["text 7, of the run", "text 123, of the run"]

POISONED = """
import os, signal, sys
if "penstock.engine.worker" in sys.orig_argv:
    from penstock.providers.openai import OpenAI
    ask = OpenAI.request
    def request(self, record, *more):
        asked = ask(self, record, *more)
        if any(text in asked.body for text in {poison!r}):
            {deed}
        return asked
    OpenAI.request = request
"""
DEEDS = {
    "aborts": "os.abort()",
    "raises": "raise RuntimeError('the poison of ' + str(record.row))",
}


@pytest.fixture(autouse=True)
def no_core_files() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


@pytest.mark.parametrize("deed", DEEDS)
def test_rows_that_kill_their_worker_alone_twice_are_the_only_dead_letters(
    place: MakePlace, simulate: Simulate, deed: str
) -> None:
    run, provider = place(ROWS), simulate(ttft_seconds=0.02)
    run.patched(POISONED.format(poison=[one.encode() for one in POISONS], deed=DEEDS[deed]))
    ended = run.run(provider.base_url, max_concurrency=16, workers=2)
    assert ended.code == 3, ended.stderr
    run.check_answers(dead=[7, 123])
    letters = run.dead_letters()
    assert [one["text"] for one in letters] == POISONS
    assert {one["_penstock"]["error_class"] for one in letters} == {"worker_crash"}
    assert provider.stats()["answered_bodies"] == ROWS - 2


KILLED_ONCE = "os.path.exists({0!r}) or (open({0!r}, 'w').close(), os.kill(os.getpid(), 9))"


def test_a_row_whose_worker_was_killed_from_outside_is_accused_of_nothing(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(ROWS), simulate(ttft_seconds=0.02)
    deed = KILLED_ONCE.format(str(run.folder / "mark"))
    run.patched(POISONED.format(poison=[POISONS[0].encode()], deed=deed))
    ended = run.run(provider.base_url, max_concurrency=16, workers=2)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    kinds = [one["event"] for one in run.events()]
    assert kinds.count("worker_replaced") == 1
    assert "row_quarantined" not in kinds
