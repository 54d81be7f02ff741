"""The gate: few at a time may pass.

What asyncio.Semaphore does, but that who finds it open pays for neither a coroutine nor a look
through a line: each request passes it, and it is hardly ever shut. A place that becomes free is
nobody's until somebody takes it: were it kept for who waits longest, all others would have to wait
until that one's turn comes, and a line, once there, would never end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


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
        overtaken = False
        while not self.enter():
            call: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if overtaken:
                self._line.appendleft(call)
            else:
                self._line.append(call)
            try:
                await call
            except asyncio.CancelledError:
                if call.done() and not call.cancelled():  # called in the same turn: the next is
                    self._call()
                raise
            overtaken = True

    def leave(self) -> None:
        """Give the place up, and call whoever waits longest, if anybody does."""
        self._free += 1
        if self._line:
            self._call()

    def _call(self) -> None:
        while self._line:
            call = self._line.popleft()
            if not call.done():
                call.set_result(None)
                return


class ToldGate(Gate):
    """A gate that tells `on_leave` of each place that becomes free."""

    def __init__(self, places: int, on_leave: Callable[[], None]) -> None:
        super().__init__(places)
        self._on_leave = on_leave

    def leave(self) -> None:
        """See Gate."""
        super().leave()
        self._on_leave()
