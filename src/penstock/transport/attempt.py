"""One attempt's state, on its way through aiohttp to the places where aiohttp calls us back."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.transport.transport import Ready
    from penstock.transport.wire import Wire


class Attempt:
    """What one `send` has come to: whom to ask before writing, on which connection, until when."""

    __slots__ = (
        "deadline",
        "fresh",
        "ready",
        "refusal",
        "reused",
        "sent_ns",
        "timeout_seconds",
        "wire",
    )

    def __init__(self, ready: Ready | None, timeout_seconds: float) -> None:
        self.ready = ready
        self.timeout_seconds = timeout_seconds
        self.deadline = asyncio.timeout(None)
        self.wire: Wire | None = None
        self.reused = False  # whether the wire had carried a request before
        self.fresh = False  # whether only a connection that is opened now will do
        self.refusal: BaseException | None = None  # what `ready` raised
        self.sent_ns = 0  # when the request was last begun to be written

    def take(self, wire: Wire, now_seconds: float) -> None:
        """Go on with this connection; the first one starts the clock."""
        self.wire = wire
        self.reused = wire.requests > 0
        if self.deadline.when() is None:
            self.deadline.reschedule(now_seconds + self.timeout_seconds)

    def may_repeat(self) -> bool:
        """Whether the connection may have ended from idling: kept alive, no byte of answer."""
        return self.wire is not None and self.reused and not self.wire.answering

    def repeat(self) -> None:
        """Write once more, on a connection that is opened now; the ticket and the clock stand."""
        self.fresh = True
        self.ready = None


# aiohttp hands nothing through from a request to its connector; both run in the caller's task.
CURRENT: ContextVar[Attempt] = ContextVar("penstock_attempt")
