"""How busy this thread is, as far as the system tells."""

from __future__ import annotations

import time
from pathlib import Path

# How long the thread ran, how long it was ready to and did not, how often it was run (proc(5)).
SCHEDULED = Path("/proc/thread-self/schedstat")


def busy_ns() -> int:
    """How long this thread has run or been ready to, in ns; on macOS, only how long it ran.

    A thread that others keep from the CPU is as late as one that uses it up itself.
    """
    try:
        ran, waited, _ = SCHEDULED.read_bytes().split()
    except (OSError, ValueError):
        return time.thread_time_ns()
    return int(ran) + int(waited)
