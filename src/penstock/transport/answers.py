"""What an answer is, once its head is there: a response, or why there is none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from yarl import URL

from penstock.transport.endpoint import Endpoint
from penstock.transport.failure import Failure, Kind
from penstock.transport.transport import Response

if TYPE_CHECKING:
    from aiohttp import StreamReader
    from multidict import CIMultiDictProxy

_CUT_BYTES: Final = 16 << 10  # what is kept of the body of an error that is too large
HEADER_BYTES: Final = 16 << 10  # of a line of an answer's head
MOST_HEADERS: Final = 128


async def read_answer(
    endpoint: Endpoint,
    status: int,
    headers: CIMultiDictProxy[str],
    content: StreamReader,
    max_body_bytes: int,
    sent_ns: int,
) -> Response | Failure:
    """Read an answer to its end, unless its head says already that it is none of use."""

    def failure(kind: Kind, words: str) -> Failure:
        return Failure(kind, words, sent_ns, time.monotonic_ns())

    place = endpoint.place
    if status == 101:
        return failure("malformed", f"{place} switched to another protocol")
    if not 200 <= status < 600:
        return failure("malformed", f"{place} answered with {status}, which is no HTTP status")
    if 300 <= status < 400:
        return failure("redirect", f"{place} {_way_of(status, headers, endpoint.url)}")
    body, whole = await _read_body(content, max_body_bytes)
    if not whole and status >= 400:
        body = body[:_CUT_BYTES]  # its status says what it is; the rest of it says nothing more
    elif not whole:
        return failure("too_large", f"the answer of {place} is larger than {max_body_bytes} bytes")
    return Response(status, headers, body, sent_ns, time.monotonic_ns())


async def _read_body(content: StreamReader, max_bytes: int) -> tuple[bytes, bool]:
    """The body, and whether that is all of it: one above `max_bytes` is not read to its end.

    In blocks, counted as they are inflated; aiohttp's `read()` would take off the bound that its
    decompressor works under, and 64 KB on the wire can inflate to 64 MB.
    """
    blocks: list[bytes] = []
    size = 0
    while block := await content.readany():
        size += len(block)
        if size > max_bytes:
            return (blocks or [block])[0], False
        blocks.append(block)
    return blocks[0] if len(blocks) == 1 else b"".join(blocks), True


def _way_of(status: int, headers: CIMultiDictProxy[str], base: URL) -> str:
    location = headers.get("Location")
    if location is None:
        return f"answered with {status}, and names no other place"
    return f"redirects to {_origin_of(location, base)}"


def _origin_of(location: str, base: URL) -> str:
    try:
        return str(base.join(URL(location)).origin())
    except ValueError:
        return "an unreadable location"
