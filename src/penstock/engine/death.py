"""What ties a worker's life to its supervisor's: two ropes, and deaf ears for a terminal's signals.

The socket's end is the first rope. PR_SET_PDEATHSIG, on Linux, is the second, and only where the
supervisor spawned the worker from its main thread: the signal follows the *thread*, not the
process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def follow_parent(parent: int) -> None:
    """Be killed when the parent dies. Exits at once if it is dead already."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def ignore_terminal() -> None:
    """Leave SIGINT and SIGTERM to the supervisor, which says when to drain.

    Ctrl+C reaches the whole process group, and service managers signal every process of a service:
    a worker that obeyed would drop what the grace period lets it finish.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
