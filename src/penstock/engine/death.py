"""What ties a worker's life to its supervisor's: two ropes, and deaf ears for a terminal's signals.

The socket's end is the first rope. PR_SET_PDEATHSIG, on Linux, is the second, and only where the
supervisor spawned the worker from its main thread: the signal follows the *thread*, not the
process. It gives the worker the time to commit that the socket's end gives it, and no more.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
LAST_SECONDS = 2.0  # in which a worker commits and ends by itself


def follow_parent(parent: int) -> None:
    """Be dead 2 s after the parent at the latest. Exits at once if it is dead already."""
    if sys.platform != "linux":
        return
    signal.signal(signal.SIGUSR2, lambda number, frame: last_seconds())
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGUSR2)
    if os.getppid() != parent:
        os._exit(0)


def last_seconds() -> None:
    """Let the kernel end this process soon, by a signal that no code of ours has to see."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, LAST_SECONDS)


def ignore_terminal() -> None:
    """Leave SIGINT and SIGTERM to the supervisor, which says when to drain.

    Ctrl+C reaches the whole process group, and service managers signal every process of a service:
    a worker that obeyed would drop what the grace period lets it finish.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
