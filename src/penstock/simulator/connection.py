"""One client connection: reads requests, plays scripts, one at a time and in order.

Pipelined requests wait in the reader until the one before is answered.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import cast

from penstock.simulator.provider import Exchange, Provider
from penstock.simulator.refusals import Refusal
from penstock.simulator.script import End, honest_script
from penstock.simulator.voices import OPENAI, refusal_answer
from penstock.simulator.wire import BadRequest, RequestReader

# SO_LINGER on, for 0 seconds: closing sends a reset.
LINGER_RESET = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """`clock_ns` is monotonic; `connections` holds every open connection of the server."""

    def __init__(
        self, provider: Provider, clock_ns: Callable[[], int], connections: set[Connection]
    ) -> None:
        self._provider = provider
        self._clock_ns = clock_ns
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader()
        self._exchange: Exchange | None = None
        self._next_piece = 0
        self._timer: asyncio.TimerHandle | None = None
        self._began = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports don't inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        self._provider.stats.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._end_exchange(finished=False)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if self._exchange is None:
            self._serve()

    def abort(self) -> None:
        self._transport.abort()

    def _serve(self) -> None:
        """Answers whole requests until one takes time, or none is left."""
        while self._exchange is None and not self._transport.is_closing():
            try:
                request = self._reader.next()
            except BadRequest as error:
                self._refuse_bytes(error)
                return
            if request is None:
                if self._reader.wants_continue():
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            self._exchange = self._provider.respond(request, self._clock_ns())
            self._next_piece = 0
            self._began = False
            self._play()

    def _play(self) -> None:
        """Writes what is due; a timer comes back here for the rest."""
        assert self._exchange is not None
        pieces = self._exchange.script.pieces
        while self._next_piece < len(pieces):
            delay_seconds, data = pieces[self._next_piece]
            if delay_seconds > 0 and self._timer is None:
                self._timer = self._loop.call_later(delay_seconds, self._wake)
                return
            self._timer = None
            self._next_piece += 1
            if data:
                self._began = True
                self._transport.write(data)
        self._finish(self._exchange.script.end)

    def _wake(self) -> None:
        self._play()
        if self._exchange is None:
            self._serve()

    def _finish(self, end: End) -> None:
        """All is written: lets the connection live or die."""
        if end is End.HANG:
            return
        self._end_exchange(finished=not self._transport.is_closing())
        if end is End.CLOSE:
            self._transport.close()
        elif end is End.RESET:
            self._reset()

    def _end_exchange(self, *, finished: bool) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._provider.ended(exchange, began=self._began, finished=finished)

    def _reset(self) -> None:
        peer = self._transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        self._transport.abort()

    def _refuse_bytes(self, error: BadRequest) -> None:
        """Answers bytes that are no request, and closes: where the next one begins is unknown."""
        answer = refusal_answer(Refusal(error.status, str(error)), OPENAI)
        self._transport.write(honest_script(answer, keep_alive=False).pieces[0].data)
        self._transport.close()
