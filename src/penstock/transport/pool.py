"""aiohttp's connection pool, and the wait for a ticket between getting a connection and using it.

aiohttp calls `connect` and then writes, with nothing awaited in between, so this is the one place
where a connection can be in hand and no byte on its way yet.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, cast

import aiohttp

from penstock.transport.attempt import CURRENT, Attempt
from penstock.transport.wire import Wire

if TYPE_CHECKING:
    import ssl

    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from penstock.transport.transport import Counters


class Pool(aiohttp.TCPConnector):
    """As many connections as there are requests under way; idle ones live `idle_seconds`."""

    def __init__(
        self,
        counters: Counters,
        *,
        connect_timeout_seconds: float,
        idle_seconds: float,
        tls: ssl.SSLContext | bool,
    ) -> None:
        super().__init__(
            limit=0,
            limit_per_host=0,
            keepalive_timeout=idle_seconds,
            ssl=tls,
            # One resolver everywhere; aiohttp's default depends on what else is installed.
            resolver=aiohttp.ThreadedResolver(),
        )
        make_wire: Any = functools.partial(Wire, loop=self._loop, counters=counters)
        self._factory = make_wire
        self._connect_timeout_seconds = connect_timeout_seconds

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 (aiohttp's signature)
    ) -> Connection:
        """Get a connection, await the attempt's ticket, hand over a connection that is clean."""
        attempt = CURRENT.get()
        conn = await super().connect(req, traces, timeout)
        if attempt.ready is not None:
            await _await_ready(attempt, conn)
            if not _wire_of(conn).is_clean():
                conn.close()
                conn = await super().connect(req, traces, timeout)
        attempt.take(_wire_of(conn), self._loop.time())
        return conn

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        if CURRENT.get().fresh:
            return None
        while (conn := await super()._get(key, traces)) is not None:
            if _wire_of(conn).is_clean():
                return conn
            conn.close()
        return None

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 (aiohttp's signature)
    ) -> ResponseHandler:
        async with asyncio.timeout(self._connect_timeout_seconds):
            return await super()._create_connection(req, traces, timeout)


async def _await_ready(attempt: Attempt, conn: Connection) -> None:
    assert attempt.ready is not None
    try:
        if (waiting := attempt.ready()) is not None:
            await waiting
    except BaseException as refusal:
        attempt.refusal = refusal
        conn.release()
        raise


def _wire_of(conn: Connection) -> Wire:
    return cast(Wire, conn.protocol)
