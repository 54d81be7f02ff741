"""The line before a server that works on so many answers at once, and says nothing of it."""

from __future__ import annotations

import heapq


class Line:
    """`servers` places; who finds none free waits, first come, first served."""

    def __init__(self, servers: int) -> None:
        self._free_ns = [0] * servers  # when each place is free, a heap; none: no line

    def wait_seconds(self, now_ns: int, work_seconds: float) -> float:
        """How long until work that comes now is begun; it takes `work_seconds` from then on."""
        if not self._free_ns:
            return 0.0
        begins_ns = max(now_ns, self._free_ns[0])
        heapq.heapreplace(self._free_ns, begins_ns + round(work_seconds * 1e9))
        return (begins_ns - now_ns) / 1e9
