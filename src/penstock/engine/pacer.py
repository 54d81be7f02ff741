"""The pacer of a worker: tickets in order, each taken for the head of the line alone.

Only the head reserves, and never further ahead than the horizon: a ticket that is held is capacity
that no other worker can use. The event loop's timers tick in milliseconds, so it wakes and lets go
of all that is due. A ticket that a pause or a tune made void, or that is used too late, is taken
anew.
"""

from __future__ import annotations

import asyncio
from collections import deque

from penstock._core import Limiter, Tickets, monotonic_ns
from penstock.engine.limits import HORIZON_NS

LONGEST_SLEEP_NS = 500_000_000  # a tune or the end of a pause is noticed within this
MILLISECOND_NS = 1_000_000


class Draining(Exception):
    """Raised to a request that waits for its ticket when the worker starts nothing more."""


class Diverted(Exception):
    """Raised to a request that waits for its ticket where another endpoint is to be asked."""


class Waiter:
    """A request that waits for its ticket, with its connection in hand."""

    __slots__ = ("future", "input_tokens", "output_tokens")

    def __init__(
        self, input_tokens: int, output_tokens: int, future: asyncio.Future[tuple[int, int]]
    ) -> None:
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.future = future


class Pacer:
    """One for each worker; all on one limiter keep one rate."""

    def __init__(self, limiter: Limiter) -> None:
        self.tickets = Tickets(limiter, monotonic_ns)
        self._limiter = limiter
        self._loop = asyncio.get_running_loop()
        self._line: deque[Waiter] = self.tickets.line
        self._timer: asyncio.TimerHandle | None = None
        self._due_ns = 0  # of the head's ticket, while it has one
        self._generation = 0
        self.blocking = -1  # the bucket that the head last waited for (_core.Limiter.blocking)
        self.voided = 0

    @property
    def stopped(self) -> bool:
        """Whether no ticket is given any more."""
        return self.tickets.stopped

    @property
    def held(self) -> bool:
        """Whether none is given for now."""
        return self.tickets.held

    @property
    def line(self) -> int:
        """How many wait for their ticket."""
        return len(self._line)

    def stop(self) -> None:
        """Give no ticket any more; who waits for one is sent away."""
        self.tickets.stopped = True
        self._send_away(Draining)

    def divert(self) -> None:
        """Send away who waits, to be asked for elsewhere."""
        self._send_away(Diverted)

    def hold(self) -> None:
        """Give no ticket until `release`."""
        self.tickets.held = True

    def release(self) -> None:
        """Give tickets again."""
        self.tickets.held = False
        self._drive()

    def _send_away(self, why: type[Exception]) -> None:
        self._due_ns = 0  # a ticket the head had is lost, never refunded
        while self._line:
            waiter = self._line.popleft()
            if not waiter.future.done():
                waiter.future.set_exception(why())

    def take(self, input_tokens: int, output_tokens: int) -> int:
        """A ticket that is due now: when it was charged, in ns; 0 where one must be waited for."""
        return self.tickets.take(input_tokens, output_tokens)

    async def ticket(self, input_tokens: int, output_tokens: int) -> int:
        """Wait for a ticket; returns when it was charged, in ns. To be used at once.

        Raises Draining once the pacer was stopped.
        """
        while not self.stopped:
            if charged_ns := self.take(input_tokens, output_tokens):
                return charged_ns
            due_ns, generation = await self._turn(input_tokens, output_tokens)
            # From the timer to here is a turn of the loop: another worker may have paused the
            # endpoint, or this process been stopped.
            if self._limiter.valid(due_ns, generation, monotonic_ns()):
                return due_ns
            self.voided += 1
        raise Draining

    async def _turn(self, input_tokens: int, output_tokens: int) -> tuple[int, int]:
        """Wait in the line; returns when the ticket was due, and its generation."""
        waiter = Waiter(input_tokens, output_tokens, self._loop.create_future())
        self._line.append(waiter)
        if len(self._line) == 1:
            self._drive()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    def _drive(self) -> None:
        """Let go of all that is due; set the timer for what is not."""
        if self._timer is not None:  # of a line that has emptied meanwhile
            self._timer.cancel()
            self._timer = None
        while self._line and not self.held:
            waiter = self._line[0]
            now_ns = monotonic_ns()
            wake_ns = self._advance(waiter, now_ns)
            if wake_ns > now_ns:
                delay_ns = max(MILLISECOND_NS, min(wake_ns - now_ns, LONGEST_SLEEP_NS))
                self._timer = self._loop.call_later(delay_ns / 1e9, self._drive)
                return
            self._line.popleft()
            charged_ns, self._due_ns = self._due_ns, 0
            if not waiter.future.done():
                waiter.future.set_result((charged_ns, self._generation))

    def _advance(self, waiter: Waiter, now_ns: int) -> int:
        """When to look again; a time not after `now_ns` means that the head may go."""
        if self._due_ns:
            if now_ns < self._due_ns:
                return self._due_ns
            if self._limiter.valid(self._due_ns, self._generation, now_ns):
                return now_ns
            self.voided += 1
            self._due_ns = 0
        due_ns = self._limiter.reserve(
            now_ns, HORIZON_NS, waiter.input_tokens, waiter.output_tokens
        )
        if due_ns != now_ns:
            self.blocking = self._limiter.blocking
        if due_ns < 0:  # to be asked for again as soon as it is within the horizon
            return now_ns - due_ns - HORIZON_NS
        self._due_ns = due_ns
        self._generation = self._limiter.generation
        return due_ns

    def _leave(self, waiter: Waiter) -> None:
        """A cancelled request gives up its place; a ticket the head had is lost, never refunded."""
        if waiter in self._line:
            if self._line[0] is waiter:
                self._due_ns = 0
            self._line.remove(waiter)
