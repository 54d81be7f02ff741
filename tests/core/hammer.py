"""A process that hammers an endpoint: takes tickets, sends each in its time, tells when it sent.

    python hammer.py FD BUCKETS DURATION_NS HORIZON_NS TOKENS

Maps the shared memory behind FD and writes to stdout the times of sending, as native int64.
"""

from __future__ import annotations

import mmap
import sys
from array import array

from penstock._core import Limiter, monotonic_ns


def hammer(limiter: Limiter, duration_ns: int, horizon_ns: int, tokens: int) -> array[int]:
    sent, stop_ns = array("q"), monotonic_ns() + duration_ns
    while (now := monotonic_ns()) < stop_ns:
        due = limiter.reserve(now, horizon_ns, tokens, 0)
        if due < 0:
            continue
        generation = limiter.generation
        while (now := monotonic_ns()) < due:
            pass
        if limiter.valid(due, generation, now):
            sent.append(now)
    return sent


if __name__ == "__main__":
    fd, buckets, duration_ns, horizon_ns, tokens = map(int, sys.argv[1:])
    limiter = Limiter(mmap.mmap(fd, 0), 0, buckets)
    sys.stdout.buffer.write(hammer(limiter, duration_ns, horizon_ns, tokens).tobytes())
