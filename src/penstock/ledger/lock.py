"""The lock on a run directory: one supervisor with its workers at a time.

It is an flock on a file that is never unlinked. Workers inherit the descriptor, so the lock holds
until the last of them is gone: a supervisor that was killed does not free it while a worker may
still write. A new supervisor waits for such workers to end by themselves, then kills those that
the dead one recorded. A living supervisor, and its workers, are never touched.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from penstock.disk import Disk, failure
from penstock.errors import LedgerError, RunLocked
from penstock.ledger.process import Process, is_alive, kill, process
from penstock.ledger.run_directory import RunDirectory

PATIENCE_SECONDS: Final = 2.0  # in which orphaned workers commit and end by themselves
AFTER_KILL_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.02


class Crew(msgspec.Struct, frozen=True):
    """`workers.json`: who holds the lock."""

    supervisor: Process
    workers: list[Process] = []


class RunLock:
    """A held lock; `fileno()` is what workers inherit."""

    def __init__(self, disk: Disk, run_dir: RunDirectory, fd: int, supervisor: Process) -> None:
        self._disk = disk
        self._run_dir = run_dir
        self._fd = fd
        self._supervisor = supervisor

    @classmethod
    def acquire(
        cls,
        disk: Disk,
        run_dir: RunDirectory,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> RunLock:
        """Take the lock, waiting for or killing what a dead supervisor left. It blocks.

        Raises RunLocked if it is still held then, naming who holds it, and LedgerError if the disk
        fails or has no locks.
        """
        fd = wait_for(run_dir, clock() + patience_seconds, clock, sleep)
        if fd is None:
            crew = read_crew(run_dir)
            orphans = [] if crew is None or is_alive(crew.supervisor) else crew.workers
            for worker in orphans:
                kill(worker)
            if orphans:
                fd = wait_for(run_dir, clock() + AFTER_KILL_SECONDS, clock, sleep)
        if fd is None:
            raise locked(run_dir)
        supervisor = process(os.getpid())
        assert supervisor is not None
        lock = cls(disk, run_dir, fd, supervisor)
        try:
            lock.record_workers(())
        except BaseException:
            lock.release()
            raise
        return lock

    def fileno(self) -> int:
        """The descriptor that keeps the lock held in whoever inherits it."""
        return self._fd

    def record_workers(self, pids: Iterable[int]) -> None:
        """Write down all workers that live now, for a later supervisor to end if need be."""
        workers = [found for found in map(process, pids) if found is not None]
        crew = Crew(self._supervisor, workers)
        self._disk.replace_file(self._run_dir.workers_path, msgspec.json.encode(crew))

    def release(self) -> None:
        """Let go. Not by LOCK_UN, which would take it from workers that still live, too."""
        if self._fd >= 0:
            self._disk.let_go(self._fd)
            self._fd = -1


def wait_for(
    run_dir: RunDirectory,
    deadline: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> int | None:
    """The descriptor of the lock, held; None if it wasn't free by `deadline`."""
    while (fd := try_lock(run_dir)) is None:
        if clock() >= deadline:
            return None
        sleep(POLL_SECONDS)
    return fd


def try_lock(run_dir: RunDirectory) -> int | None:
    """The descriptor of the lock, held; None if another has it."""
    disk = Disk()
    fd = disk.open_kept(run_dir.lock_path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The directory may have been moved aside meanwhile, and the file that is locked with it.
        if os.path.samestat(os.fstat(fd), run_dir.lock_path.stat()):
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        disk.close(fd)
        raise failure("lock", run_dir.lock_path, error) from error
    disk.close(fd)
    return None


def read_crew(run_dir: RunDirectory) -> Crew | None:
    """Who recorded itself as holding the lock last; None if nothing readable did."""
    try:
        data = Disk().read_file(run_dir.workers_path)
        return None if data is None else msgspec.json.decode(data, type=Crew)
    except (LedgerError, msgspec.MsgspecError, ValueError, RecursionError):
        return None


def locked(run_dir: RunDirectory) -> RunLocked:
    """The error for a lock that can't be had."""
    crew = read_crew(run_dir)
    holders = [one for one in (crew.supervisor, *crew.workers) if is_alive(one)] if crew else []
    if not holders:
        who = "an unknown process"
    elif crew and holders[0] == crew.supervisor:
        who = f"the run with pid {holders[0].pid}"
    else:
        who = f"workers that don't end (pid {', '.join(str(one.pid) for one in holders)})"
    return RunLocked(
        f"{run_dir.path} is in use by {who}",
        "Wait for it to end, or stop it, then run the same command; "
        f"`penstock status {run_dir.path}` shows how far it is.",
    )
