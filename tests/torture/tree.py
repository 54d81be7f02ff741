"""The processes of a command, by the session that they were started in, and what they hold."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

POLL_SECONDS = 0.02
LOOKS = 10


def members(session: int) -> list[int]:
    """The processes of a session that live, its leader included, orphans too."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and session_of(int(entry.name)) == session:
            found.append(int(entry.name))
    return sorted(found)


def session_of(pid: int) -> int:
    """The session of a process; 0 if there is none of that pid, or only a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    state, _, _, session, *_ = stat.rpartition(")")[2].split()
    return int(session) if state not in "ZX" else 0


def descriptors(pid: int) -> int:
    """How many files a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def fewest_descriptors(pid: int) -> int:
    """How many files a process keeps open; one that it is just writing is none of them."""
    found = []
    for _ in range(LOOKS):
        found.append(descriptors(pid))
        time.sleep(POLL_SECONDS)
    return min(found)


def send(pid: int, number: signal.Signals) -> bool:
    """Signal a process; False where it is gone already."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


def gone(session: int, seconds: float) -> bool:
    """Whether all of a session end by themselves within so many seconds."""
    deadline = time.monotonic() + seconds
    while members(session):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def is_free(lock: Path) -> bool:
    """Whether nobody holds a lock."""
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
