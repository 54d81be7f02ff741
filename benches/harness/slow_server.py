"""A server that answers every request after a set time: for very many requests in flight at once.

    python benches/harness/slow_server.py PORT SECONDS

It reads no more of a request than where it ends. On SIGTERM it prints one line of JSON: how many
requests there were, and how many at once at the most.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import signal
import sys

import uvloop
from payload import ANSWER

BODY = json.dumps(ANSWER).encode()
WHOLE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
) + BODY
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Count:
    """What the server has seen."""

    requests = now = most = 0

    def begin(self) -> None:
        self.requests += 1
        self.now += 1
        self.most = max(self.most, self.now)

    def end(self) -> None:
        self.now -= 1


class Connection(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, seconds: float, count: Count) -> None:
        self._seconds = seconds
        self._count = count
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = LENGTH.search(self._buffer, 0, head)
        if len(self._buffer) >= head + 4 + (int(length[1]) if length else 0):
            self._buffer.clear()
            self._count.begin()
            asyncio.get_running_loop().call_later(self._seconds, self._answer)

    def _answer(self) -> None:
        self._count.end()
        if not self._transport.is_closing():
            self._transport.write(WHOLE)


async def main(port: int, seconds: float) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop, count, ended = asyncio.get_running_loop(), Count(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(
        lambda: Connection(seconds, count), "127.0.0.1", port, backlog=4096
    )
    await ended.wait()
    server.close()
    print(json.dumps({"requests": count.requests, "most_in_flight": count.most}))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2])))
