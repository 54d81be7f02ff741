"""The lock, with real processes: who holds it is never disturbed, who is left over is ended."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ledger.ledger_disk import RecordingDisk, failing
from ledger.ledger_rows import run_directory
from penstock.disk import Disk
from penstock.errors import EXIT_INTERNAL, LedgerError, RunLocked
from penstock.ledger import lock as locking
from penstock.ledger.lock import Crew, RunLock, read_crew, try_lock
from penstock.ledger.process import Process, is_alive, process
from penstock.ledger.run_directory import RunDirectory, move_aside

DEAD = Process(2**22 + 1, "never", "never")  # above the highest pid that there can be
SLEEPER = [sys.executable, "-S", "-c", "import time; print(flush=True); time.sleep(100)"]
SUPERVISOR = """
import subprocess, sys, time
from pathlib import Path
from penstock.ledger import lock as locking
from penstock.disk import Disk
from penstock.ledger.lock import RunLock
from penstock.ledger.run_directory import RunDirectory
lock = RunLock.acquire(Disk(), RunDirectory(Path(sys.argv[1])))
worker = subprocess.Popen(sys.argv[2:], pass_fds=[lock.fileno()])
lock.record_workers([worker.pid])
print(worker.pid, flush=True)
time.sleep(100)
"""


class Clock:
    """Time that passes only by sleeping."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDirectory:
    return run_directory(tmp_path)


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for child in started:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


def sleeper(children: list[subprocess.Popen[bytes]], lock_fd: int | None = None) -> Process:
    """A process that runs, and holds the lock if it inherits it."""
    fds = () if lock_fd is None else (lock_fd,)
    child = subprocess.Popen(SLEEPER, pass_fds=fds, stdout=subprocess.PIPE)
    children.append(child)
    assert child.stdout is not None
    child.stdout.readline()
    found = process(child.pid)
    assert found is not None
    return found


def orphan(
    run_dir: RunDirectory, children: list[subprocess.Popen[bytes]], recorded: bool = True
) -> Process:
    """A worker that holds the lock though its supervisor is dead."""
    fd = try_lock(run_dir)
    assert fd is not None
    worker = sleeper(children, fd)
    os.close(fd)
    crew = Crew(DEAD, [worker] if recorded else [])
    run_dir.workers_path.write_bytes(msgspec.json.encode(crew))
    return worker


def test_a_lock_is_held_once_and_can_be_had_again_when_released(run_dir: RunDirectory) -> None:
    lock = RunLock.acquire(Disk(), run_dir)
    inode = run_dir.lock_path.stat().st_ino
    assert try_lock(run_dir) is None
    lock.release()
    RunLock.acquire(Disk(), run_dir).release()
    assert run_dir.lock_path.stat().st_ino == inode


def test_a_living_supervisor_is_waited_for_two_seconds_and_then_named(
    run_dir: RunDirectory, children: list[subprocess.Popen[bytes]]
) -> None:
    lock = RunLock.acquire(Disk(), run_dir)
    worker = sleeper(children, lock.fileno())
    lock.record_workers([worker.pid])
    clock = Clock()
    with pytest.raises(RunLocked, match=f"in use by the run with pid {os.getpid()}") as caught:
        RunLock.acquire(Disk(), run_dir, clock=clock, sleep=clock.sleep)
    assert caught.value.exit_code == EXIT_INTERNAL
    assert 2.0 <= clock.now < 2.1
    assert is_alive(worker)
    lock.release()


def test_a_worker_keeps_the_lock_that_its_supervisor_let_go(
    run_dir: RunDirectory, children: list[subprocess.Popen[bytes]]
) -> None:
    lock = RunLock.acquire(Disk(), run_dir)
    sleeper(children, lock.fileno())
    lock.release()
    assert try_lock(run_dir) is None
    children[0].kill()
    children[0].wait()
    fd = try_lock(run_dir)
    assert fd is not None
    os.close(fd)


def test_orphans_that_end_by_themselves_are_not_killed(
    run_dir: RunDirectory, children: list[subprocess.Popen[bytes]]
) -> None:
    worker = orphan(run_dir, children)

    def sleep(seconds: float) -> None:
        os.kill(worker.pid, signal.SIGTERM)
        children[0].wait()

    RunLock.acquire(Disk(), run_dir, sleep=sleep).release()
    assert children[0].returncode == -signal.SIGTERM


def test_orphans_that_do_not_end_are_killed(
    run_dir: RunDirectory, children: list[subprocess.Popen[bytes]]
) -> None:
    worker = orphan(run_dir, children)
    lock = RunLock.acquire(Disk(), run_dir, patience_seconds=0)
    assert not is_alive(worker)
    assert children[0].wait() == -signal.SIGKILL
    assert read_crew(run_dir) == Crew(process(os.getpid()) or DEAD)
    lock.release()


def test_every_orphan_that_was_recorded_is_killed(
    run_dir: RunDirectory, children: list[subprocess.Popen[bytes]]
) -> None:
    orphans = [sleeper(children), orphan(run_dir, children)]
    run_dir.workers_path.write_bytes(msgspec.json.encode(Crew(DEAD, orphans)))
    RunLock.acquire(Disk(), run_dir, patience_seconds=0).release()
    assert [child.wait() for child in children] == [-signal.SIGKILL] * 2


def test_waiting_for_a_lock_leaves_no_descriptor_open(run_dir: RunDirectory) -> None:
    lock = RunLock.acquire(Disk(), run_dir)
    disk = Disk()
    before = disk.open_to_read(run_dir.lock_path)
    disk.close(before)
    assert [try_lock(run_dir) for _ in range(3)] == [None] * 3
    assert disk.open_to_read(run_dir.lock_path) == before  # the lowest that is free, as it was
    disk.close(before)
    lock.release()


def test_workers_of_a_supervisor_that_was_killed_are_ended_by_the_next(
    run_dir: RunDirectory, children: list[subprocess.Popen[bytes]]
) -> None:
    command = [sys.executable, "-c", SUPERVISOR, str(run_dir.path), *SLEEPER]
    supervisor = subprocess.Popen(command, stdout=subprocess.PIPE)
    children.append(supervisor)
    assert supervisor.stdout is not None
    lines = [supervisor.stdout.readline() for _ in range(2)]
    worker = process(int(b"".join(lines)))
    assert worker is not None
    with pytest.raises(RunLocked, match=f"pid {supervisor.pid}"):
        RunLock.acquire(Disk(), run_dir, patience_seconds=0)
    supervisor.kill()
    supervisor.wait()
    assert is_alive(worker)
    RunLock.acquire(Disk(), run_dir, patience_seconds=0).release()
    assert not is_alive(worker)


def test_a_process_that_has_a_dead_workers_pid_is_left_alone(
    run_dir: RunDirectory, children: list[subprocess.Popen[bytes]]
) -> None:
    holder = orphan(run_dir, children, recorded=False)
    stranger = sleeper(children)
    reused = msgspec.structs.replace(stranger, started="earlier")
    run_dir.workers_path.write_bytes(msgspec.json.encode(Crew(DEAD, [reused])))
    clock = Clock()
    with pytest.raises(RunLocked, match="in use by an unknown process"):
        RunLock.acquire(Disk(), run_dir, clock=clock, sleep=clock.sleep)
    assert is_alive(stranger)
    assert is_alive(holder)


def test_workers_that_can_not_be_ended_are_named(
    run_dir: RunDirectory,
    children: list[subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker, clock = orphan(run_dir, children), Clock()
    monkeypatch.setattr("penstock.ledger.lock.kill", lambda known: None)
    with pytest.raises(RunLocked, match=rf"workers that don't end \(pid {worker.pid}\)"):
        RunLock.acquire(Disk(), run_dir, clock=clock, sleep=clock.sleep)
    assert 7.0 <= clock.now < 7.1


@pytest.mark.parametrize("record", [b"", b"{}", b"\xff", b'{"supervisor": 1}'])
def test_a_record_that_can_not_be_read_is_of_nobody(run_dir: RunDirectory, record: bytes) -> None:
    fd = try_lock(run_dir)
    assert fd is not None
    run_dir.workers_path.write_bytes(record)
    with pytest.raises(RunLocked, match="an unknown process"):
        RunLock.acquire(Disk(), run_dir, patience_seconds=0)
    os.close(fd)


def test_a_lock_that_was_moved_aside_while_it_was_taken_is_no_lock(
    run_dir: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def slow_flock(fd: int, operation: int) -> None:
        flock(fd, operation)
        move_aside(Disk(), run_dir.path)
        run_dir.prepare(Disk())
        run_dir.lock_path.touch()

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", slow_flock)
        assert try_lock(run_dir) is None
    fd = try_lock(run_dir)
    assert fd is not None
    os.close(fd)


def test_a_lock_in_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"can't open .*/lock"):
        RunLock.acquire(Disk(), RunDirectory(tmp_path / "none.run"))


def test_workers_that_are_gone_already_are_not_recorded(
    run_dir: RunDirectory, children: list[subprocess.Popen[bytes]]
) -> None:
    lock = RunLock.acquire(Disk(), run_dir)
    worker = sleeper(children)
    lock.record_workers([DEAD.pid, worker.pid])
    crew = read_crew(run_dir)
    assert crew is not None
    assert crew.workers == [worker]
    lock.release()


def test_waiting_ends_as_soon_as_the_lock_is_free(
    run_dir: RunDirectory, children: list[subprocess.Popen[bytes]]
) -> None:
    orphan(run_dir, children)
    started = time.monotonic()
    RunLock.acquire(Disk(), run_dir, patience_seconds=0.05).release()
    assert time.monotonic() - started < 2


def test_a_lock_that_can_not_be_recorded_is_not_kept(run_dir: RunDirectory) -> None:
    with pytest.raises(LedgerError, match=r"can't rename .*workers\.json"):
        RunLock.acquire(RecordingDisk(failing("rename", "workers.json")), run_dir)
    RunLock.acquire(Disk(), run_dir, patience_seconds=0).release()


def test_a_file_system_without_locks_is_told(
    run_dir: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locking.fcntl, "flock", flock)
    with pytest.raises(LedgerError, match=r"can't lock .*lock: No locks available"):
        try_lock(run_dir)


@pytest.mark.parametrize("data", [b"[" * 5000, b'{"supervisor":' * 5000, b"\xff", b"{}"])
def test_a_crew_of_any_bytes_is_none(tmp_path: Path, data: bytes) -> None:
    run_dir = RunDirectory(tmp_path)
    run_dir.workers_path.write_bytes(data)
    assert read_crew(run_dir) is None


def test_to_let_go_twice_closes_nothing_else(tmp_path: Path) -> None:
    lock = RunLock.acquire(Disk(), run_directory(tmp_path))
    lock.release()
    other = os.open(tmp_path, os.O_RDONLY)  # has the number that became free
    lock.release()
    os.close(other)
