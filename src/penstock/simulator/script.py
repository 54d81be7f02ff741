"""What happens on a connection in answer to one request, as data: which bytes when, and the end.

Everything that a good or a faulty provider does is written down here first, by pure functions; the
connection only plays it.
"""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus
from typing import NamedTuple

JSON_TYPE = "application/json"
EVENTS_TYPE = "text/event-stream; charset=utf-8"
HTML_TYPE = "text/html"

REASONS = {status.value: status.phrase for status in HTTPStatus}


class End(Enum):
    """What becomes of the connection after the last byte."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"
    HANG = "hang"


class Piece(NamedTuple):
    """Bytes, and the seconds to wait before them."""

    delay_seconds: float
    data: bytes


# What OpenAI says where it fails itself.
SERVER_ERROR = (
    b'{"error":{"message":"The server had an error, please retry","type":"server_error",'
    b'"param":null,"code":null}}'
)


class Answer(NamedTuple):
    """A response before it is framed. `headers` are whole lines; streamed ones are `chunked`.

    `failure` is the body of the 500 that the provider would answer instead.
    """

    status: int
    headers: str
    pieces: tuple[tuple[float, bytes], ...]
    content_type: str = JSON_TYPE
    chunked: bool = False
    failure: bytes = SERVER_ERROR


class Script(NamedTuple):
    """A status (0 where nothing is sent), what to write when, and how to end.

    `whole` says that whoever reads to the end has a complete, valid answer.
    """

    status: int
    pieces: tuple[Piece, ...]
    end: End
    whole: bool = False


def response_head(answer: Answer, framing: str, *, keep_alive: bool) -> bytes:
    """The status line and headers; `framing` is the line that tells where the body ends."""
    connection = "" if keep_alive else "connection: close\r\n"
    return (
        f"HTTP/1.1 {answer.status} {REASONS[answer.status]}\r\n"
        f"content-type: {answer.content_type}\r\n"
        f"{framing}{answer.headers}{connection}\r\n"
    ).encode("latin-1")


def length_framing(length: int) -> str:
    return f"content-length: {length}\r\n"


def body_of(answer: Answer) -> bytes:
    return b"".join(data for _, data in answer.pieces)


def total_delay(answer: Answer) -> float:
    return sum(delay for delay, _ in answer.pieces)


def framed(answer: Answer, *, keep_alive: bool) -> tuple[Piece, ...]:
    """The answer as an honest server sends it."""
    if answer.chunked:
        return chunked_pieces(answer, keep_alive=keep_alive)
    body = body_of(answer)
    head = response_head(answer, length_framing(len(body)), keep_alive=keep_alive)
    return (Piece(total_delay(answer), head + body),)


def chunked_pieces(answer: Answer, *, keep_alive: bool, finished: bool = True) -> tuple[Piece, ...]:
    """A chunked body, without the last chunk unless `finished`."""
    prefix = response_head(answer, "transfer-encoding: chunked\r\n", keep_alive=keep_alive)
    pieces = []
    for delay_seconds, data in answer.pieces:
        chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        pieces.append(Piece(delay_seconds, prefix + chunk))
        prefix = b""
    if finished:
        last = pieces.pop()
        pieces.append(Piece(last.delay_seconds, last.data + b"0\r\n\r\n"))
    return tuple(pieces)


def honest_script(answer: Answer, *, keep_alive: bool) -> Script:
    """The answer, sent as it is."""
    return Script(
        answer.status,
        framed(answer, keep_alive=keep_alive),
        End.KEEP if keep_alive else End.CLOSE,
        whole=answer.status == 200,
    )
