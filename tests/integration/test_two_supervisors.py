"""Two commands on one run directory: one has it, the other says who; the dead are told apart."""

from __future__ import annotations

import os
import signal
import subprocess

from conftest import Simulate
from integration.conftest import MakePlace
from integration.place import Place
from penstock.ledger.process import process
from penstock.simulator import SimulatorProcess

ROWS = 1500
SLOTS = 16


def test_a_stopped_worker_of_a_dead_supervisor_is_killed_and_writes_nothing_more(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(ROWS), simulate(ttft_seconds=0.03)
    with run.start(provider.base_url, max_concurrency=SLOTS, workers=2) as live:
        stopped, _ = live.until_running(2)[:2]
        live.until(lambda: provider.stats()["answered_bodies"] > 100)
        os.kill(stopped.pid, signal.SIGSTOP)
        live.signal(signal.SIGKILL)
        live.wait()
        assert process(stopped.pid) == stopped
        ended = run.run(provider.base_url, max_concurrency=64)
        assert process(stopped.pid) != stopped
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert run.penstock("verify", run.run_dir).code == 0


def test_a_stopped_supervisor_keeps_its_run_and_goes_on_when_it_wakes(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(ROWS), simulate(ttft_seconds=0.03)
    with run.start(provider.base_url, max_concurrency=SLOTS) as live:
        live.until_running(1)
        live.signal(signal.SIGSTOP)
        second = run.run(provider.base_url, max_concurrency=SLOTS)
        assert second.code == 6, second.stderr
        assert str(live.process.pid) in second.stderr
        live.signal(signal.SIGCONT)
        ended = live.wait()
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert provider.stats()["asked_again"] == 0


def test_commands_started_at_the_same_moment_never_run_at_the_same_time(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(200), simulate(ttft_seconds=0.1, ttft_spread=0.0)
    for _ in range(2):
        together(run, provider)
    run.check_answers()
    assert provider.stats()["asked_again"] == 0
    assert run.penstock("verify", run.run_dir).code == 0


def together(run: Place, provider: SimulatorProcess) -> None:
    """Three commands at once: each has the run in turn, or says that another has it."""
    command = run.command(provider.base_url, max_concurrency=SLOTS)
    commands = [
        subprocess.Popen(
            command, env=run.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    said = [one.communicate(timeout=60)[1].decode() for one in commands]
    codes = [one.returncode for one in commands]
    assert set(codes) <= {0, 6} and 0 in codes, said
    assert all("in use by" in text for code, text in zip(codes, said, strict=True) if code == 6)
