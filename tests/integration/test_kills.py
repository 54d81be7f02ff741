"""Processes that die at the worst moment: nothing is lost, and little is bought twice."""

from __future__ import annotations

import os
import signal
import time

import pytest

from conftest import Simulate
from integration.conftest import MakePlace
from integration.place import Live, Place
from penstock.ledger.process import Process, is_alive
from penstock.simulator import SimulatorProcess

ROWS = 2000
SLOTS = 32  # over both workers
STEADY = {"ttft_seconds": 0.03, "ttft_spread": 0.0}

# Bought twice for each killed worker: what was in flight, what was answered since the last write
# (250 ms, or 256 results), and the write that was under way.
MOST_AGAIN = SLOTS // 2 + 256


def started(run: Place, provider: SimulatorProcess, **options: object) -> Live:
    """A run of two workers with a good part of its rows answered, and more to come."""
    live = run.start(provider.base_url, max_concurrency=SLOTS, workers=2, **options)
    live.until_running(2)
    live.until(lambda: provider.stats()["answered_bodies"] > ROWS // 4)
    return live


def gone(processes: list[Process], seconds: float) -> bool:
    """Whether all of them end within so many seconds."""
    deadline = time.monotonic() + seconds
    while alive := [one for one in processes if is_alive(one)]:
        if time.monotonic() > deadline:
            return False
        os.sched_yield()
        time.sleep(0.02)
    return not alive


def test_a_killed_worker_is_replaced_and_no_row_is_lost_or_doubled(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(ROWS), simulate(**STEADY)
    with started(run, provider) as live:
        os.kill(live.workers()[0].pid, signal.SIGKILL)
        ended = live.wait()
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert provider.stats()["asked_again"] <= MOST_AGAIN
    replaced = [one for one in run.events() if one["event"] == "worker_replaced"]
    assert len(replaced) == 1
    assert "SIGKILL" in replaced[0]["cause"]
    assert not [one for one in run.events() if one["event"] == "row_quarantined"]


def test_workers_don_t_outlive_a_killed_supervisor_and_the_same_command_resumes(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(ROWS), simulate(**STEADY)
    with started(run, provider) as live:
        workers = live.workers()
        assert len(workers) == 2
        live.signal(signal.SIGKILL)
        assert live.wait().code == -signal.SIGKILL
        assert gone(workers, 3.0)
    ended = run.run(provider.base_url, max_concurrency=SLOTS)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert ended.summary["resumed"] > 0
    assert provider.stats()["asked_again"] <= 2 * MOST_AGAIN


# As patient as ever while workers start, then impatient.
IMPATIENT = """
import sys
if "penstock.engine.worker" not in sys.orig_argv:
    from penstock.engine import crew, supervisor
    greet, greeted = supervisor.Supervisor._greet, []
    def greet_and_grow_impatient(self, worker):
        greet(self, worker)
        greeted.append(worker)
        crew.HUNG_NS = 6_000_000_000 if len(greeted) == 2 else 30_000_000_000
    supervisor.Supervisor._greet = greet_and_grow_impatient
"""


def test_a_worker_that_hangs_is_replaced_and_its_rows_are_accused_of_nothing(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(ROWS), simulate(**STEADY)
    run.patched(IMPATIENT)
    with started(run, provider) as live:
        os.kill(live.workers()[0].pid, signal.SIGSTOP)
        ended = live.wait()
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert provider.stats()["asked_again"] <= MOST_AGAIN
    assert [one["cause"] for one in run.events() if one["event"] == "worker_replaced"]
    assert not [one for one in run.events() if one["event"] == "row_quarantined"]


def test_a_machine_that_was_suspended_goes_on_where_it_was_and_keeps_its_limit(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(ROWS // 2), simulate(rps=500)
    run.patched(IMPATIENT)
    with run.start(provider.base_url, max_concurrency=SLOTS, workers=2, rps=250) as live:
        live.until(lambda: provider.stats()["answered_bodies"] > 100)
        live.signal_all(signal.SIGSTOP)
        time.sleep(7.0)  # the suspension, longer than a worker may be silent
        live.signal_all(signal.SIGCONT)
        ended = live.wait()
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert not [one for one in run.events() if one["event"] == "worker_replaced"]
    assert provider.stats()["limited"] == {}
    assert provider.stats()["asked_again"] == 0


def test_a_machine_that_died_again_and_again_loses_nothing(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(ROWS), simulate(**STEADY)
    for crash in range(2):
        with run.start(provider.base_url, max_concurrency=SLOTS, workers=2) as live:
            some = ROWS * (crash + 1) // 4
            live.until(lambda: provider.stats()["answered_bodies"] > some)  # noqa: B023
            live.signal_all(signal.SIGKILL)
            live.wait()
    ended = run.run(provider.base_url, max_concurrency=SLOTS, workers=2)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert provider.stats()["asked_again"] <= 4 * MOST_AGAIN
    assert run.penstock("verify", run.run_dir).code == 0


KILLED_IN_THE_EXPORT = """
import os, pathlib, signal, sys
mark = pathlib.Path({mark!r})
if "penstock.engine.worker" not in sys.orig_argv and not mark.exists():
    from penstock.ledger.output_file import OutputFile
    def die(self):
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    OutputFile.{method} = die
"""


@pytest.mark.parametrize("method", ["finish", "publish"])
def test_a_supervisor_killed_amid_its_export_exports_anew_and_leaves_no_litter(
    place: MakePlace, simulate: Simulate, method: str
) -> None:
    run, provider = place(300), simulate(reject=0.1)
    mark = run.folder / "died"
    run.patched(KILLED_IN_THE_EXPORT.format(mark=str(mark), method=method))
    assert run.run(provider.base_url).code == -signal.SIGKILL
    assert mark.exists()
    asked = provider.stats()["received"]
    ended = run.run(provider.base_url)
    assert ended.code == 3, ended.stderr
    refused = provider.stats()["rejected_texts"]
    run.check_answers(dead=[n for n, row in enumerate(run.rows) if row["text"] in refused])
    assert len(run.dead_letters()) == len(refused)
    assert provider.stats()["received"] == asked
    assert not list(run.folder.glob("*.tmp")) + list(run.folder.glob(".*.tmp"))
