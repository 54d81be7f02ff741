"""Where decompression can begin, as far as was read: see `penstock.sources.bytesource`."""

from __future__ import annotations

from collections import deque


class Restarts:
    """The points passed while reading at which decompression could begin."""

    def __init__(self, first: tuple[int, int]) -> None:
        self._points = deque([first])

    def add(self, byte: int, offset: int) -> None:
        """At `byte` of the file begins what is at `offset` when decompressed."""
        self._points.append((byte, offset))

    def before(self, offset: int) -> tuple[int, int]:
        """The last point not after `offset`; the ones before it are forgotten."""
        while len(self._points) > 1 and self._points[1][1] <= offset:
            self._points.popleft()
        return self._points[0]
