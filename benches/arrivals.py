"""A server for measurements: it answers every request alike, and keeps when each one came."""

from __future__ import annotations

import asyncio
import json
import re
import time
from array import array

COMPLETION = {
    "id": "chatcmpl-0123456789",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "bench",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "The answer is forty-two. " * 8},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 120, "completion_tokens": 48, "total_tokens": 168},
}
BODY = json.dumps(COMPLETION).encode()
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
) + BODY
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Arrivals:
    """Listens on a free port of the loopback while it is entered; `times_ns` has one per request.

    `answer_seconds` is how long an answer takes; times are of CLOCK_MONOTONIC.
    """

    def __init__(self, answer_seconds: float = 0.0) -> None:
        self.answer_seconds = answer_seconds
        self.times_ns = array("q")
        self.first = asyncio.Event()

    async def __aenter__(self) -> Arrivals:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()


class Connection(asyncio.Protocol):
    """One connection: whole requests in, answers out."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        self._data += data
        while (head := self._data.find(b"\r\n\r\n")) >= 0:
            length = LENGTH.search(self._data, 0, head + 2)
            end = head + 4 + (int(length[1]) if length else 0)
            if len(self._data) < end:
                return
            self._data = self._data[end:]
            self._arrivals.times_ns.append(now_ns)
            self._arrivals.first.set()
            if seconds := self._arrivals.answer_seconds:
                asyncio.get_running_loop().call_later(seconds, self._transport.write, ANSWER)
            else:
                self._transport.write(ANSWER)
