"""The wall clock, for timestamps alone: nothing that is decided depends on it."""

from __future__ import annotations

import time


def wall_us() -> int:
    """Microseconds since the Unix epoch."""
    return time.time_ns() // 1000
