"""Reading HTTP/1.1 requests from a stream of bytes, without I/O.

Written by hand because a simulator must cost less than the client it measures: a high-level server
takes several times the CPU. Only what a client of an API sends is understood; all else is refused
with a status, never guessed at.
"""

from __future__ import annotations

from typing import NamedTuple

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024


class Request(NamedTuple):
    """One request. Header names are in lower case; of repeated headers the last is kept."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool
    query: str = ""


class BadRequest(Exception):
    """Raised when bytes are not a request; nothing after them on the connection can be trusted."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Head(NamedTuple):
    """A request's head; `length` is None for a chunked body."""

    method: str
    path: str
    headers: dict[str, str]
    length: int | None
    keep_alive: bool
    query: str


class RequestReader:
    """Bytes in by `feed`, whole requests out by `next`, in order; one per connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: Head | None = None
        self._chunks = bytearray()
        self._told_to_continue = False

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Request | None:
        """The next whole request, or None until more bytes come. Raises BadRequest."""
        if self._head is None:
            self._head = self._read_head()
            if self._head is None:
                return None
            self._told_to_continue = False
        head = self._head
        body = self._read_sized(head.length) if head.length is not None else self._read_chunked()
        if body is None:
            return None
        self._head = None
        return Request(head.method, head.path, head.headers, body, head.keep_alive, head.query)

    def wants_continue(self) -> bool:
        """Whether the client holds its body back until told to send it; True once a request."""
        if self._head is None or self._told_to_continue:
            return False
        self._told_to_continue = True
        return self._head.headers.get("expect", "").lower() == "100-continue"

    def _read_head(self) -> Head | None:
        # An empty line before a request is allowed (RFC 9112, 2.2).
        while self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]
        end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        if end < 0:
            if len(self._buffer) >= MAX_HEAD_BYTES:
                raise BadRequest(431, "the request's head is too long")
            return None
        text = self._buffer[:end].decode("latin-1")
        del self._buffer[: end + 4]
        return parse_head(text)

    def _read_sized(self, length: int) -> bytes | None:
        if len(self._buffer) < length:
            return None
        body = bytes(memoryview(self._buffer)[:length])
        del self._buffer[:length]
        return body

    def _read_chunked(self) -> bytes | None:
        while True:
            end = self._buffer.find(b"\r\n", 0, MAX_HEAD_BYTES)
            if end < 0:
                if len(self._buffer) >= MAX_HEAD_BYTES:
                    raise BadRequest(400, "a chunk has no size")
                return None
            size = parse_chunk_size(bytes(self._buffer[:end]))
            if len(self._chunks) + size > MAX_BODY_BYTES:
                raise BadRequest(413, "the request's body is too long")
            if size == 0:
                return self._end_chunked(end)
            after = end + 2 + size
            if len(self._buffer) < after + 2:
                return None
            if self._buffer[after : after + 2] != b"\r\n":
                raise BadRequest(400, "a chunk is longer than its size")
            self._chunks += memoryview(self._buffer)[end + 2 : after]
            del self._buffer[: after + 2]

    def _end_chunked(self, size_end: int) -> bytes | None:
        """The body, once the trailers (ignored) and their empty line are here."""
        trailers_end = self._buffer.find(b"\r\n\r\n", size_end)
        if trailers_end < 0:
            if len(self._buffer) - size_end > MAX_HEAD_BYTES:
                raise BadRequest(431, "the request's trailers are too long")
            return None
        del self._buffer[: trailers_end + 4]
        body = bytes(self._chunks)
        self._chunks.clear()
        return body


def parse_head(text: str) -> Head:
    """A request line and headers, without the empty line at their end. Raises BadRequest."""
    line, *lines = text.split("\r\n")
    try:
        method, target, version = line.split(" ")
    except ValueError:
        raise BadRequest(400, "the request line has not three parts") from None
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(505, f"{version} is not spoken here")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(400, "a header has no name")
        headers[name.lower()] = value.strip(" \t")
    connection = headers.get("connection", "").lower()
    keep_alive = connection == "keep-alive" if version == "HTTP/1.0" else connection != "close"
    path, _, query = target.partition("?")
    return Head(method, path, headers, body_length(headers), keep_alive, query)


def body_length(headers: dict[str, str]) -> int | None:
    """The body's length in bytes, None for a chunked one. Raises BadRequest."""
    coding = headers.get("transfer-encoding")
    stated = headers.get("content-length", "0")
    if coding is not None:
        if coding.lower() != "chunked" or "content-length" in headers:
            raise BadRequest(400, "the body's length is not clear")
        return None
    if not (stated.isascii() and stated.isdecimal()):
        raise BadRequest(400, "the content length is not a number")
    if int(stated[:20]) > MAX_BODY_BYTES:
        raise BadRequest(413, "the request's body is too long")
    return int(stated)


def parse_chunk_size(line: bytes) -> int:
    """The size that a chunk's first line states; extensions are ignored. Raises BadRequest."""
    digits = line.partition(b";")[0].strip()
    if not digits or len(digits) > 8 or digits.strip(b"0123456789abcdefABCDEF"):
        raise BadRequest(400, "a chunk's size is not a number")
    return int(digits, 16)
