"""Knowing a process again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from penstock.ledger.process import Process, boot_id, is_alive, kill, process, started_by_ps

SLEEPER = [sys.executable, "-S", "-c", "import time; print(flush=True); time.sleep(100)"]


def test_a_process_is_the_same_each_time_it_is_looked_at() -> None:
    ours = process(os.getpid())
    assert ours is not None
    assert ours == process(os.getpid())
    assert ours.boot == boot_id() != ""
    assert is_alive(ours)
    assert process(os.getppid()) != ours


@pytest.mark.skipif(sys.platform != "linux", reason="a process has such a name on Linux")
def test_a_process_may_be_called_anything() -> None:
    name = Path("/proc/self/comm")
    called, ours = name.read_text(), process(os.getpid())
    try:
        name.write_text("a) Z b")
        assert process(os.getpid()) == ours
    finally:
        name.write_text(called.strip())


def test_what_is_not_there_is_no_process() -> None:
    assert process(2**22 + 1) is None


def test_a_killed_process_is_none_even_before_it_is_waited_for() -> None:
    with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        known = process(child.pid)
        assert known is not None
        kill(known)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(known)
        assert child.wait() == -signal.SIGKILL
        kill(known)


@pytest.mark.parametrize("has_pidfd", [True, False])
@pytest.mark.parametrize("other", [{"started": "earlier"}, {"boot": "another"}])
def test_another_process_with_the_pid_is_not_killed(
    other: dict[str, str], has_pidfd: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_pidfd:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    ours = process(os.getpid())
    assert ours is not None
    kill(msgspec.structs.replace(ours, **other))  # or this test would not end


def test_what_has_the_pid_of_another_by_now_lives_on() -> None:
    with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE) as child:
        known = process(child.pid)
        assert known is not None
        kill(msgspec.structs.replace(known, started="earlier"))
        child.terminate()  # the first signal that comes is the one it dies of
        assert child.wait() == -signal.SIGTERM


def test_without_process_descriptors_it_is_killed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE) as child:
        known = process(child.pid)
        assert known is not None
        kill(known)
        assert child.wait() == -signal.SIGKILL
        kill(Process(child.pid, "gone", "gone"))


def test_ps_tells_the_start_too() -> None:
    first = started_by_ps(os.getpid())
    if not first:
        pytest.skip("ps is not installed")
    assert first == started_by_ps(os.getpid())
    assert started_by_ps(2**22 + 1) == ""


@pytest.mark.parametrize("pid", [2**40, 2**80, 0, -1])
def test_a_pid_that_no_process_can_have_is_killed_without_a_word(pid: int) -> None:
    kill(Process(pid, "1", "boot"))
