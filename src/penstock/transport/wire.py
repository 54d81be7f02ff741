"""A connection that knows which bytes were asked for, and is never used again after any other.

HTTP/1.1 has no names on its answers: whatever comes first after a request is taken for its answer.
An answer that comes late, twice, or unasked on a kept-alive connection would be given to the next
record, and so would all that follow. aiohttp's own handler keeps such bytes and reads them as the
next answer's beginning. Hence three rules here:

- Bytes while nothing is asked close the connection.
- Bytes after an answer's end, in the same segment too, close it, and the answer itself stands. The
  parser does not tell where in a segment an answer ended, and given more it may fail and lose that
  answer; so it is fed no further than to where an answer may end: as many bytes as its
  content-length says, or, in a head or a chunked body, to the next empty line.
- Bytes that the event loop has not read yet count too: `is_clean` asks the socket itself.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Final

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import _EXC_SENTINEL, set_exception
from aiohttp.http_exceptions import BadHttpMessage

if TYPE_CHECKING:
    from aiohttp import StreamReader
    from aiohttp.http_parser import RawResponseMessage

    from penstock.transport.transport import Counters

_TO_EMPTY_LINE: Final = -1
_TO_END: Final = -2
# Answers of 1xx before the one that counts. Each costs some of the event loop's time, and a server
# that sent nothing else held it for ten times the attempt's timeout.
_MOST_INFORMATION: Final = 100


class Wire(ResponseHandler):
    """aiohttp's protocol for one connection, strict about which bytes were asked for.

    `requests` counts those begun on it; `answering` is whether the newest one's answer has begun.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, counters: Counters) -> None:
        super().__init__(loop)
        self.requests = 0
        self.answering = False
        self._counters = counters
        self._asked = False
        self._soiled = False
        self._answer: StreamReader | None = None
        self._until = _TO_EMPTY_LINE  # how far the parser may be fed: bytes, or one of the above
        self._information = 0  # answers of 1xx so far
        self._held = b""  # came while reading was paused, not yet fed
        self._encrypted = False
        self._poll = select.poll()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._encrypted = transport.get_extra_info("sslcontext") is not None
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def set_response_params(self, **params: object) -> None:
        """Begin a request: from here to its answer's end, bytes are asked for."""
        super().set_response_params(**params)  # type: ignore[arg-type]
        self.requests += 1
        self.answering = False
        self._asked = True
        self._answer = None
        self._until = _TO_EMPTY_LINE
        self._information = 0

    def is_clean(self) -> bool:
        """Whether a request may be written: open, nothing under way, nothing come unasked."""
        return (
            self.is_connected() and not self._asked and not super().should_close and self._silent()
        )

    def _silent(self) -> bool:
        # A TLS server's session tickets wait on a new connection without being anybody's answer.
        return (self._encrypted and not self.requests) or not self._poll.poll(0)

    @property
    def should_close(self) -> bool:
        """Whether the connection can't be kept once its request is through."""
        return super().should_close or self._unsent()

    def _unsent(self) -> bool:
        # An answer that came before its request was written whole, like a 413.
        return self.transport is not None and self.transport.get_write_buffer_size() > 0

    def close(self) -> None:
        """Close without a TLS farewell, for which a peer that still sends could make us wait."""
        self.abort()

    def data_received(self, data: bytes) -> None:
        if not self._asked:
            if data:
                self._soil()
            return
        if data:
            self.answering = True
        else:  # aiohttp resumes its parser, which had paused in the middle of what it was fed
            super().data_received(b"")
        self._feed(self._held + data if self._held else data)
        if self._answer is not None and self._answer.is_eof():
            self._finish()

    def _feed(self, data: bytes) -> None:
        start = 0
        while start < len(data) and not self._reading_paused and not self._complete():
            if self._information > _MOST_INFORMATION:
                self._refuse_information()
                return
            end = self._next_stop(data, start)
            if self._until > 0:
                self._until -= end - start
            super().data_received(data[start:end])
            start = end
        self._held = data[start:]
        if self._held and self._complete():
            self._soil()

    def _refuse_information(self) -> None:
        self._held = b""
        self.set_exception(BadHttpMessage("too many informational answers"))
        if self.transport is not None:  # not self.abort(), which forgets the exception
            self.transport.abort()

    def _complete(self) -> bool:
        return self._until == 0 or (self._answer is not None and self._answer.is_eof())

    def _next_stop(self, data: bytes, start: int) -> int:
        if self._until >= 0:
            return min(start + self._until, len(data))
        return len(data) if self._until == _TO_END else end_of_empty_line(data, start)

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Take a message's head from the parser, and see from it where the message will end."""
        message, payload = data
        if 100 <= message.code < 200 and message.code != 101:
            self._information += 1
        else:
            self._answer = payload
            self._until = _framing(message)
        super().feed_data(data, size)

    def _finish(self) -> None:
        self._asked = False
        if self._soiled:
            self.abort()

    def _soil(self) -> None:
        if not self._soiled:
            self._soiled = True
            self._counters.soiled += 1
        if not self._asked:
            self.abort()

    def set_exception(self, exc: BaseException, exc_cause: BaseException = _EXC_SENTINEL) -> None:
        """Fail the request, whether its head is waited for or its body."""
        super().set_exception(exc, exc_cause)
        # aiohttp tells only who waits for the head; who reads the body would wait for ever.
        self._fail_body(exc, exc_cause)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End the request under way, if there is one."""
        if exc is not None:
            # A body that runs to the connection's end is not whole if that end is a reset.
            self._fail_body(ClientPayloadError("the connection was reset"), exc)
        super().connection_lost(exc)

    def _fail_body(self, exc: BaseException, cause: BaseException) -> None:
        body = self._payload
        if body is not None and not body.is_eof():
            set_exception(body, exc, cause)


def _framing(message: RawResponseMessage) -> int:
    if message.chunked:
        return _TO_EMPTY_LINE
    length = message.headers.get("Content-Length")
    if not length:
        return _TO_END
    return int(length.lstrip("0") or "0")  # the parser let only digits pass, but zeros at will


def end_of_empty_line(data: bytes, start: int) -> int:
    """Where the first empty line at or after `start` ends; the end of `data` if there is none.

    A line break at `start` itself ends one: the line may have begun in earlier bytes.
    """
    if data.startswith((b"\n", b"\r\n"), start):
        return start + (1 if data[start] == 10 else 2)
    bare = data.find(b"\n\n", start)
    full = data.find(b"\n\r\n", start, bare + 2 if bare >= 0 else len(data))
    if full >= 0:
        return full + 3
    return bare + 2 if bare >= 0 else len(data)
