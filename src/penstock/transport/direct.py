"""The transport below aiohttp's ClientSession: requests straight onto connections of our own.

Names, addresses and TLS are aiohttp's (`opening`), and so is the parser for every answer that is
not of the usual kind (`wire`); between them is the compiled `_wire`. A request costs a seventh of
what ClientSession takes for it. Deadlines are one clock's for all, so they end attempts a little
late, never early.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import aiohttp

from penstock._wire import Lines
from penstock.transport.answers import HEADER_BYTES, MOST_HEADERS, read_answer
from penstock.transport.endpoint import Endpoint, Endpoints
from penstock.transport.failure import FOREIGN_ERRORS, Failure, reason_of
from penstock.transport.opening import Opening
from penstock.transport.tls import tls_context
from penstock.transport.transport import Counters, Ready, Request, Response
from penstock.transport.wire import Wire

if TYPE_CHECKING:
    from penstock._wire import Line

# How a connection ends that was kept alive for too long.
_ENDED: Final = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


class DirectTransport:
    """A Transport straight over connections, without a proxy; make it inside a running event loop.

    The options are those of SessionTransport, and mean the same.
    """

    def __init__(
        self,
        timeout_seconds: float,
        connect_timeout_seconds: float = 10,
        ca_file: str | None = None,
        max_body_bytes: int = 16 << 20,
        idle_seconds: float = 4,
    ) -> None:
        tls = tls_context(ca_file) if ca_file is not None else True
        self.counters = Counters()
        self._loop = asyncio.get_running_loop()
        self._endpoints = Endpoints()
        self._max_body_bytes = max_body_bytes
        self._lines = Lines(
            self._loop,
            self.counters,
            Response,
            self._make_wire,
            timeout_seconds=timeout_seconds,
            idle_seconds=idle_seconds,
            max_body_bytes=max_body_bytes,
        )
        self._opening = Opening(
            self._lines.make_line, connect_timeout_seconds=connect_timeout_seconds, tls=tls
        )

    async def send(self, request: Request, ready: Ready | None = None) -> Response | Failure:
        """Make one attempt (see Transport). Raises JobError for a URL or header that can't go."""
        endpoint = self._endpoints.of(request.url, request.headers)
        line = self._lines.take(endpoint.idle)
        if line is None:
            opened = await self._open(endpoint)
            if isinstance(opened, Failure):
                return opened
            line = opened
        waiting = None
        if ready is not None:
            try:
                if (waiting := ready()) is not None:
                    await waiting
            except BaseException:
                line.give_back(endpoint.idle)
                raise
            if (waiting is not None or not line.requests) and not line.is_clean():
                line.abort()
                opened = self._lines.take(endpoint.idle) or await self._open(endpoint)
                if isinstance(opened, Failure):
                    return opened
                line = opened
        try:  # as `_exchange`, which would be a coroutine more for each request
            waiter = line.ask(endpoint.head, request.body, endpoint.idle, waiting is not None)
            return await waiter or await self._read(line, endpoint)
        except asyncio.CancelledError:
            line.drop(waiter)
            raise
        except FOREIGN_ERRORS as error:
            unanswered = isinstance(error, _ENDED) and not line.answering
            if unanswered and (line.requests > 1 or not line.sent_ns):
                return await self._repeat(line, endpoint, request.body)
            return _failure(error, endpoint, line.sent_ns)

    async def close(self) -> None:
        """Close all connections."""
        self._lines.close()
        await self._opening.close()

    async def _open(self, endpoint: Endpoint) -> Line | Failure:
        if self._lines.closed:
            raise RuntimeError("the transport is closed")
        try:
            return await self._opening.open(endpoint.url)
        except FOREIGN_ERRORS as error:
            kind, detail = reason_of(error, endpoint.place, connected=False)
            return Failure(kind, detail, 0, time.monotonic_ns())

    async def _exchange(
        self, line: Line, endpoint: Endpoint, body: bytes, deadline_ns: int
    ) -> Response | Failure:
        """Write a request that is late, and read its answer."""
        waiter = line.ask(endpoint.head, body, endpoint.idle, True, deadline_ns)
        try:
            return await waiter or await self._read(line, endpoint)
        except asyncio.CancelledError:
            line.drop(waiter)
            raise

    async def _repeat(self, ended: Line, endpoint: Endpoint, body: bytes) -> Response | Failure:
        """Write on a connection that is opened now; ticket and deadline stand."""
        if ended.sent_ns:
            self.counters.reconnects += 1
        line = ended
        try:
            async with asyncio.timeout((ended.deadline_ns - time.monotonic_ns()) / 1e9):
                line = await self._opening.open(endpoint.url)
            return await self._exchange(line, endpoint, body, ended.deadline_ns)
        except FOREIGN_ERRORS as error:
            return _failure(error, endpoint, line.sent_ns or ended.sent_ns)

    async def _read(self, line: Line, endpoint: Endpoint) -> Response | Failure:
        """Read an answer that the plain reader left to aiohttp's parser."""
        wire: Wire = line.wire
        try:
            message, content = await wire.read()
            while 100 <= message.code < 200 and message.code != 101:
                message, content = await wire.read()
            return await read_answer(
                endpoint,
                message.code,
                message.headers,
                content,
                self._max_body_bytes,
                line.sent_ns,
            )
        finally:
            line.over()

    def _make_wire(self, transport: asyncio.Transport) -> Wire:
        wire = Wire(self._loop, self.counters)
        wire.connection_made(transport)
        wire.set_response_params(
            read_until_eof=True,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            max_headers=MOST_HEADERS,
        )
        return wire


def _failure(error: BaseException, endpoint: Endpoint, sent_ns: int) -> Failure:
    kind, detail = reason_of(error, endpoint.place, connected=True)
    return Failure(kind, detail, sent_ns, time.monotonic_ns())
