"""Connections below aiohttp's client: a request in one write, a plain answer read as it comes.

Hand-written. All times are nanoseconds of CLOCK_MONOTONIC. The rules are told in `_wire.pyx`.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any

class Headers(Mapping[str, str]):
    """A read-only mapping of field names, in any case, to values; the first of a name counts."""

    @property
    def head(self) -> bytes: ...
    def __init__(self, head: bytes) -> None:
        """`head` is an answer's, as it came, from its status line to its empty line."""

    def __getitem__(self, name: str) -> str: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def getall(self, name: str) -> list[str]:
        """Every value of a name; KeyError where there is none."""

class Lines:
    """The connections of one transport, and the one clock for all of their deadlines.

    `make_response(status, headers, body, sent_ns, done_ns)` makes what an answer's future holds,
    `make_wire(transport)` a `transport.wire.Wire` that expects an answer. Attempts and idle
    connections end up to a thirty-second of their time late, at least 5 ms and at most 250.
    """

    @property
    def closed(self) -> bool: ...
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        counters: Any,
        make_response: Callable[[int, Headers, bytes, int, int], Any],
        make_wire: Callable[[asyncio.Transport], Any],
        *,
        timeout_seconds: float,
        idle_seconds: float,
        max_body_bytes: int,
    ) -> None: ...
    def __len__(self) -> int: ...
    def make_line(self) -> Line:
        """A protocol for a new connection."""

    def take(self, idle: dict[Line, None]) -> Line | None:
        """The connection that was used last of those in `idle`, if it may be used; else None."""

    def write_due(self) -> None:
        """Write the requests that are due now; the loop calls this at the end of its turn."""

    def close(self) -> None:
        """Close all connections; those that are being made close as soon as they are there."""

class Tls:
    """The TLS of one connection, for `Line` alone: nothing of it is seen from Python."""

class Line(asyncio.Protocol):
    """One connection: the protocol of its transport, and the exchange that is under way on it."""

    @property
    def wire(self) -> Any:
        """What reads an answer that the plain reader does not know, while there is one."""

    @property
    def sent_ns(self) -> int:
        """When the newest request was begun to be written; 0 until then."""

    @property
    def requests(self) -> int:
        """How many were begun to be written."""

    @property
    def answering(self) -> bool:
        """Whether the newest request's answer has begun."""

    @property
    def deadline_ns(self) -> int:
        """When the newest request is to be over."""

    def __init__(self, lines: Lines) -> None: ...
    def is_clean(self) -> bool:
        """Whether a request may be written: open, nothing under way, nothing come unasked."""

    def start_tls(self, context: ssl.SSLContext, hostname: str) -> asyncio.Future[None]:
        """Speak TLS from here on; returns a future, done when the peer has proved who it is.

        It fails with what `ssl` raises, or an OSError where the connection ends before.
        """

    def ask(
        self,
        head: bytes,
        body: bytes,
        home: dict[Line, None],
        late: bool = False,
        deadline_ns: int = 0,
    ) -> asyncio.Future[Any]:
        """Write a request in this turn; returns a future of the response, or of None: read `wire`.

        `head` ends where the body's length stands. When the answer is complete the connection goes
        to `home`. One that is `late` goes out at once. Raises aiohttp.ClientConnectionResetError
        where the connection has ended, and then nothing was written.
        """

    def give_back(self, home: dict[Line, None]) -> None:
        """Keep a connection that was taken and not used."""

    def over(self) -> None:
        """End the exchange that `wire` read: keep the connection only if nothing is left of it."""

    def drop(self, waiter: asyncio.Future[Any]) -> None:
        """Close the connection if it still waits for this answer."""

    def abort(self) -> None:
        """Close without a farewell, for which a peer that still sends could make us wait."""
