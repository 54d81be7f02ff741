"""The gate: few at a time may pass, first come, first served.

What asyncio.Semaphore does, but that who finds it open pays for neither a coroutine nor a look
through a line: each request passes it, and it is hardly ever shut.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Gate:
    """So many `places`, of one event loop."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._line: deque[asyncio.Future[None]] = deque()

    def locked(self) -> bool:
        """Whether who comes now has to wait."""
        return not self._free

    def enter(self) -> bool:
        """Take a place if one is free; returns whether it did."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def wait(self) -> None:
        """Wait for a place, and take it."""
        if self.enter():
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # given in the same turn: the next one's
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place to whoever waits longest, if anybody does."""
        while self._line:
            place = self._line.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
