"""Memory that was freed goes back to the system.

The C library keeps it, since more will soon be wanted. But shards and checkpoints are of all sizes,
read by one thread and dropped by another, so that little of what is kept fits the next: a process
that holds no more than an hour ago has grown all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

TRIM: Final = "malloc_trim"  # glibc's; others give memory back by themselves


def give_back() -> None:
    """Give the system what is free, where the C library can. It takes some milliseconds."""
    trim = trimmer()
    if trim is not None:
        trim(0)


@cache  # to look it up makes a class, which is garbage that only a whole collection finds
def trimmer() -> Callable[[int], Any] | None:
    """The C library's function, where it has one."""
    import ctypes  # late: not before the first request

    trim = getattr(ctypes.CDLL(None), TRIM, None)
    if trim is not None:
        trim.argtypes = [ctypes.c_size_t]
    return trim
