"""The HTTP endpoint for Prometheus: `/metrics` and `/healthz`, on the supervisor's event loop.

Written by hand, without threads and without a web framework: two pages for GET need neither, and
`aiohttp.web` would take longer to import than a short run takes. One answer a connection. A client
that is slow, silent or talks nonsense holds one of a few places for some seconds and nothing else.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from penstock.errors import UsageError
from penstock.observe.linger import RECENT_GAPS

DEFAULT_PORT: Final = 9464
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
HEAD_LIMIT_BYTES: Final = 8192
CLIENT_SECONDS: Final = 5.0
MOST_CLIENTS: Final = 16


class Exporter:
    """A server of metrics that is listening; `scrape_times` are seconds of CLOCK_MONOTONIC."""

    def __init__(self, listener: socket.socket, render: Callable[[], bytes]) -> None:
        self._listener = listener
        self._render = render
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self.scrape_times: deque[float] = deque(maxlen=RECENT_GAPS + 1)

    @property
    def url(self) -> str:
        """Where the metrics are."""
        host, port = self._listener.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"

    async def start(self) -> None:
        """Begin to answer."""
        self._server = await asyncio.start_server(
            self._accept, sock=self._listener, limit=HEAD_LIMIT_BYTES
        )

    async def close(self) -> None:
        """Stop listening, and cut the clients that are still there."""
        if self._server is None:
            self._listener.close()
            return
        self._server.close()
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= MOST_CLIENTS:
            writer.transport.abort()
            return
        client = asyncio.create_task(self._serve(reader, writer))
        self._clients.add(client)

        # Not by a `finally` in the task: one that is cancelled before its first step runs none.
        def forget(client: asyncio.Task[None]) -> None:
            self._clients.discard(client)
            writer.transport.abort()

        client.add_done_callback(forget)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # TimeoutError is one
            async with asyncio.timeout(CLIENT_SECONDS):
                writer.write(self._answer(await read_request_line(reader)))
                await writer.drain()
                writer.close()
                await writer.wait_closed()

    def _answer(self, request_line: bytes) -> bytes:
        status, path, with_body = route(request_line)
        body, kind = f"{status.value} {status.phrase}\n".encode(), "text/plain; charset=utf-8"
        if status is HTTPStatus.OK and path == "/metrics":
            self.scrape_times.append(time.monotonic())
            body, kind = self._render(), CONTENT_TYPE
        return head(status, kind, len(body)) + (body if with_body else b"")


async def read_request_line(reader: asyncio.StreamReader) -> bytes:
    """The first line of a request, once its whole head is there; empty where there is none."""
    try:
        return (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0]
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return b""


def route(request_line: bytes) -> tuple[HTTPStatus, str, bool]:
    """What a request line asks for: the status to answer, the path, and whether with a body."""
    match request_line.split(b" "):
        case [method, target, version] if version.startswith(b"HTTP/1."):
            path = target.partition(b"?")[0].decode("latin-1")
        case _:
            return HTTPStatus.BAD_REQUEST, "", True
    if method not in (b"GET", b"HEAD"):
        return HTTPStatus.METHOD_NOT_ALLOWED, path, True
    found = path in ("/metrics", "/healthz")
    return HTTPStatus.OK if found else HTTPStatus.NOT_FOUND, path, method == b"GET"


def head(status: HTTPStatus, kind: str, body_bytes: int) -> bytes:
    """An answer's status line and headers."""
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {body_bytes}",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def listen(host: str, port: str) -> tuple[socket.socket, str]:
    """A listening socket for `--metrics-port`, and a note where it is not the usual port.

    `auto` is 9464, or a free port where that is taken. Raises UsageError where an explicit port is
    taken, or the host is not an address of this machine.
    """
    wanted = DEFAULT_PORT if port == "auto" else int(port)
    try:
        return bind(host, wanted), ""
    except OSError as error:
        if port != "auto" or error.errno != errno.EADDRINUSE:
            raise UsageError(
                f"--metrics-port {port} on {host}: {error.strerror or error}",
                "Choose another with --metrics-port or --metrics-host, or --metrics-port off.",
            ) from None
    listener = bind(host, 0)
    chosen = listener.getsockname()[1]
    return listener, f"port {wanted} is taken; the metrics are on port {chosen}"


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens on an address of this machine. Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(address[:2], family=family)
