"""A server that says exactly the bytes it is told to, when it is told to."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gzip
import os
import socket
import ssl
import struct
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path


@cache
def certificates() -> Path:
    """A folder with authority.pem, and what make_certificates.sh makes, until the tests end."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    script = Path(__file__).with_name("make_certificates.sh")
    subprocess.run(["sh", script, folder.name], check=True, capture_output=True)
    return Path(folder.name)


class Peer:
    """The server's end of one connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number
        self.heads: list[bytes] = []
        self.asked = asyncio.Event()  # the newest request has been read
        self.gone = asyncio.Event()  # `serve` is through: where it reads on, the client has left

    async def request(self) -> bytes:
        """Read one request; returns its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        length = next(
            (
                int(line[15:])
                for line in head.lower().split(b"\r\n")
                if line[:15] == b"content-length:"
            ),
            0,
        )
        body = await self.reader.readexactly(length)
        self.asked.set()
        return body

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def say_and_be_heard(self, data: bytes) -> None:
        """Say more than any buffer takes; returns when the client has read all but the last."""
        assert len(data) > 16 << 20
        self.writer.write(data)
        await self.writer.drain()

    def slip(self, data: bytes) -> None:
        """Put bytes into the connection before the event loop gets another turn."""
        assert os.write(self._socket().fileno(), data) == len(data)

    def peek(self) -> bytes:
        """What has arrived and the event loop has not read."""
        with socket.socket(fileno=os.dup(self._socket().fileno())) as twin:
            try:
                return twin.recv(65_536, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                return b""

    def untouched(self) -> bool:
        """Whether the client has not written anything yet."""
        return not (self.heads or self.reader._buffer or self.peek())

    async def close(self) -> None:
        """End the connection; returns when the end has reached the client's socket."""
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def reset(self) -> None:
        """End the connection with a reset instead of an orderly close."""
        os_socket = socket.socket(fileno=os.dup(self._socket().fileno()))
        os_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os_socket.close()
        self.writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def linger(self) -> None:
        """Keep the connection open, whatever else comes, until the client ends it."""
        while await self.reader.read(1 << 16):
            pass

    def _socket(self) -> socket.socket:
        return self.writer.get_extra_info("socket")  # type: ignore[no-any-return]


Serve = Callable[[Peer], Awaitable[None]]


class RawServer:
    """Runs `serve` on every connection; with it still open at the end, the connection is closed."""

    def __init__(self, serve: Serve, certificate: str | None = None) -> None:
        self.peers: list[Peer] = []
        self._opened = asyncio.Condition()
        self._serve = serve
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._tls.load_cert_chain(certificates() / f"{certificate}.pem")
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> RawServer:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, ssl=self._tls, backlog=512
        )
        self.port = self._server.sockets[0].getsockname()[1]
        scheme = "http" if self._tls is None else "https"
        self.url = f"{scheme}://localhost:{self.port}/v1/chat/completions"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for peer in self.peers:
            peer.writer.transport.abort()

    async def peer(self, number: int) -> Peer:
        """Wait for the connection of this number, from 0."""
        async with self._opened:
            await self._opened.wait_for(lambda: len(self.peers) > number)
        return self.peers[number]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer, len(self.peers))
        self.peers.append(peer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            async with self._opened:
                self._opened.notify_all()
            await self._serve(peer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        except asyncio.CancelledError:
            pass
        finally:
            peer.gone.set()
            self._tasks.discard(task)
            writer.close()


def counted(body: bytes, status: int = 200, headers: str = "") -> bytes:
    """An answer whose head says its length."""
    return _head(status, f"Content-Length: {len(body)}\r\n{headers}") + body


def chunked(body: bytes, status: int = 200, headers: str = "", pieces: int = 2) -> bytes:
    """An answer in chunks."""
    size = max(1, -(-len(body) // pieces))
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    told = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return _head(status, f"Transfer-Encoding: chunked\r\n{headers}") + told + b"0\r\n\r\n"


def zipped(body: bytes) -> bytes:
    """A compressed answer whose head says its length."""
    return counted(gzip.compress(body, mtime=0), headers="Content-Encoding: gzip\r\n")


def chunked_zipped(body: bytes) -> bytes:
    """A compressed answer in chunks."""
    return chunked(gzip.compress(body, mtime=0), headers="Content-Encoding: gzip\r\n")


def until_end(body: bytes) -> bytes:
    """An answer that lasts until the connection ends."""
    return _head(200, "") + body


def _head(status: int, headers: str) -> bytes:
    return f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n{headers}\r\n".encode()


async def echo(peer: Peer) -> None:
    """Answer every request with its own body."""
    while True:
        peer.say(counted(await peer.request()))
