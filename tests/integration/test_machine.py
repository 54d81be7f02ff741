"""A machine that gives a worker too little: said within seconds, and no row is accused of it."""

from __future__ import annotations

import re

import pytest

from conftest import Simulate
from integration.conftest import MakePlace
from integration.server import answering, echo, serving

NOWHERE = "http://127.0.0.1:9/v1"

CAPPED = """
import resource, sys
if "penstock.engine.worker" in sys.orig_argv:
    resource.setrlimit(resource.RLIMIT_AS, ({mib} << 20, {mib} << 20))
"""

NO_FORK = """
import errno, os, subprocess, sys
if "penstock.engine.worker" not in sys.orig_argv:
    popen = subprocess.Popen
    def fail(command, *more, **options):
        if "penstock.engine.worker" in command:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return popen(command, *more, **options)
    subprocess.Popen = fail
"""

BROKEN = (
    "import sys\nif 'penstock.engine.worker' in sys.orig_argv:\n    sys.modules[{module!r}] = None"
)

DEEDS = {
    "no core": (BROKEN.format(module="penstock._core"), "penstock._core"),
    "a library missing": (BROKEN.format(module="uvloop"), "uvloop"),
    "too little memory to begin": (CAPPED.format(mib=60), "failed to map segment|MemoryError"),
    "no more processes": (NO_FORK, "Resource temporarily unavailable"),
}


@pytest.mark.parametrize(("patch", "words"), DEEDS.values(), ids=DEEDS)
def test_a_worker_that_can_t_start_ends_the_run_with_its_own_words(
    place: MakePlace, patch: str, words: str
) -> None:
    run = place(20)
    run.patched(patch)
    ended = run.run(NOWHERE)
    assert ended.code == 6, ended.stderr
    assert re.search(words, ended.stderr)
    assert (ended.summary["succeeded"], ended.summary["failed"]) == (0, 0)
    assert run.dead_letters() == []


# Less patient with deaths than usual, and quicker after each: how both go is tested elsewhere.
HASTY = """
import os, signal, sys
if "penstock.engine.worker" not in sys.orig_argv:
    from penstock.engine import respawn, stuck
    respawn.LONGEST_DELAY_NS = 50_000_000
    stuck.FRUITLESS_CRASHES, stuck.FRUITLESS_KILLS = 3, 5
else:
    from penstock.engine import asker
    judge = asker.Asker._judge
    def judge_or_die(self, ask, *judged):
        if {dies}:
            {deed}
        return judge(self, ask, *judged)
    asker.Asker._judge = judge_or_die
"""
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"  # as the system does when memory runs out


def test_a_row_that_has_its_worker_killed_is_not_asked_without_end(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(60), simulate()
    run.patched(HASTY.format(dies='b"text 7," in ask.body', deed=KILLED))
    ended = run.run(provider.base_url, max_concurrency=4)
    assert ended.code == 6, ended.stderr
    assert "killed by SIGKILL" in ended.stderr
    assert re.search(r"in flight each time: row .*\b7\b", ended.stderr), ended.stderr
    assert ended.summary["failed"] == 0
    run.environment.pop("PYTHONPATH")
    ended = run.run(provider.base_url)
    assert ended.code == 0, ended.stderr
    run.check_answers()


UNWRITABLE = """
import sys
if "penstock.engine.worker" not in sys.orig_argv:
    from penstock.engine import respawn, stuck
    respawn.LONGEST_DELAY_NS = 50_000_000
    stuck.FRUITLESS_CRASHES, stuck.FRUITLESS_KILLS = 3, 5
else:
    from penstock.ledger.segment import SegmentWriter
    def write(self, *batch):
        raise MemoryError("not enough of it")
    SegmentWriter.write = write
"""


def test_workers_that_die_without_getting_anywhere_don_t_buy_rows_without_end(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(400), simulate()
    run.patched(UNWRITABLE)
    ended = run.run(provider.base_url, max_concurrency=8)
    assert ended.code == 6, ended.stderr
    assert "not enough of it" in ended.stderr
    assert ended.summary["failed"] == ended.summary["succeeded"] == 0
    assert provider.stats()["received"] <= 3 * 400


def test_a_few_kills_in_a_row_do_not_stop_a_run_that_gets_on(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(60), simulate()
    counter = run.folder / "kills"
    fatal = f"open({str(counter)!r}, 'a').write('x') and os.stat({str(counter)!r}).st_size < 5"
    run.patched(HASTY.format(dies=f'b"text 7," in ask.body and ({fatal})', deed=KILLED))
    ended = run.run(provider.base_url, max_concurrency=4)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert not [one for one in run.events() if one["event"] == "row_quarantined"]


def test_an_answer_too_large_for_the_memory_is_its_own_row_s_matter(place: MakePlace) -> None:
    run = place(20)
    run.patched(HASTY.format(dies='b"text 7," in ask.body', deed="raise MemoryError"))
    with serving(answering(echo)) as base_url:
        ended = run.run(base_url, max_concurrency=4, max_attempts=2)
    assert ended.code == 3, ended.stderr
    run.check_answers(dead=[7])
    (letter,) = run.dead_letters()
    assert letter["_penstock"]["error_class"] == "no_memory"
    assert ended.summary["failed"] == 1
    assert not [one for one in run.events() if one["event"] == "worker_replaced"]
