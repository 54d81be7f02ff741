"""The interface that every transport keeps: a request goes in, an answer or a failure comes out.

A failure is a value, not an exception: the engine has to classify it just like an answer, and an
exception would carry the request's headers, and with them the key, into tracebacks and logs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from penstock.transport.failure import Failure

Ready = Callable[[], Awaitable[None] | None]


class Request(msgspec.Struct, frozen=True, gc=False):
    """One POST: `url` is absolute, `body` is sent byte for byte.

    `headers` holds the credential. It should be one and the same object for every request of an
    endpoint: what is derived from it is kept per object. Neither shows in the repr.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Request(<{len(self.body)} bytes>)"

    def __rich_repr__(self) -> list[tuple[str, int]]:
        return [("body_bytes", len(self.body))]


class Response(msgspec.Struct, gc=False):
    """A complete answer, of status 2xx, 4xx or 5xx.

    Times are CLOCK_MONOTONIC: just before the request's first byte was written, and when the
    answer's last was read. `body` is decoded (gzip, deflate). Headers are found by names in any
    case; values that are not UTF-8 hold surrogates: encode them with `errors="replace"`. Servers
    echo keys, so neither headers nor body show in the repr.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_ns: int
    done_ns: int

    def __repr__(self) -> str:
        return f"Response({self.status}, <{len(self.body)} bytes>)"

    def __rich_repr__(self) -> list[tuple[str, int]]:
        return [("status", self.status), ("body_bytes", len(self.body))]


class Counters(msgspec.Struct):
    """What a transport's connections went through, since it was made."""

    reconnects: int = 0  # requests written again because a kept-alive connection had ended
    soiled: int = 0  # connections closed because bytes came that nothing had asked for


class Transport(Protocol):
    """Sends requests over connections that it keeps; belongs to one event loop."""

    counters: Counters

    async def send(self, request: Request, ready: Ready | None = None) -> Response | Failure:
        """Make one attempt.

        `ready` is called once, with an open connection in hand, and what it returns is awaited;
        None says that there is nothing to wait for. Then the request is written: in the same step
        if it had to wait, else in the same turn of the event loop. Should the connection have ended
        meanwhile, the request goes out on another without asking again. What `ready` raises is
        raised here, and nothing was sent. Cancelling closes the connection, if anything was written
        to it.
        """

    async def close(self) -> None:
        """Close all connections; what is under way fails as `disconnected`. May be called twice."""
