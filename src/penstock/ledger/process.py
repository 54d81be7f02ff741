"""Knowing a process again: a pid alone may by now be another's."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import msgspec


class Process(msgspec.Struct, frozen=True):
    """A process for good: no other has the same three."""

    pid: int
    started: str  # in the system's own words
    boot: str


def process(pid: int) -> Process | None:
    """The process that has `pid` now; None if there is none, or only a zombie."""
    started = started_linux(pid) if sys.platform == "linux" else started_by_ps(pid)
    return Process(pid, started, boot_id()) if started else None


def is_alive(known: Process) -> bool:
    """Whether it still runs."""
    return process(known.pid) == known


def kill(known: Process) -> None:
    """SIGKILL it if it still runs, and never another that has its pid by now."""
    if not hasattr(os, "pidfd_open"):
        if is_alive(known):
            with contextlib.suppress(ProcessLookupError):
                os.kill(known.pid, signal.SIGKILL)
        return
    try:
        # From here on the descriptor means one process, so that the check can't be outrun.
        handle = os.pidfd_open(known.pid)
    except (OSError, OverflowError):
        return
    try:
        if is_alive(known):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def started_linux(pid: int) -> str:
    """The start time in clock ticks since boot; empty for no process or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The command's name, in parentheses, may hold anything: count from behind it.
    fields = stat.rpartition(")")[2].split()
    return fields[19] if fields[0] not in "ZX" else ""


def started_by_ps(pid: int) -> str:
    """The start time in the words of ps; empty for no process or a zombie."""
    words = output_of("ps", "-o", "stat=,lstart=", "-p", str(pid)).split()
    return " ".join(words[1:]) if words and not words[0].startswith("Z") else ""


@cache
def boot_id() -> str:
    """What no two boots of a machine share."""
    if sys.platform == "linux":
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return output_of("sysctl", "-n", "kern.bootsessionuuid").strip()


def output_of(*command: str) -> str:
    """What a command prints; empty if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""
