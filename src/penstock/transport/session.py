"""The transport over aiohttp's ClientSession.

One deadline per attempt, ours: aiohttp's own begins before a connection is there, and rounds up to
whole seconds. Bodies are read in blocks and counted as they are inflated; aiohttp's `read()` would
take off the bound that its decompressor works under, and 64 KB on the wire can inflate to 64 MB.
"""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from penstock.errors import JobError
from penstock.transport.attempt import CURRENT, Attempt
from penstock.transport.endpoint import Endpoint, Endpoints, parse_url
from penstock.transport.failure import FOREIGN_ERRORS, Failure, Kind, reason_of
from penstock.transport.pool import Pool
from penstock.transport.post import Post
from penstock.transport.transport import Counters, Ready, Request, Response

if TYPE_CHECKING:
    from aiohttp import ClientResponse

_MIB: Final = 1 << 20
_MOST_HEADERS: Final = 128
_HEADER_BYTES: Final = 16 << 10
_CUT_BYTES: Final = 16 << 10  # what is kept of the body of an error that is too large


class SessionTransport:
    """A Transport over aiohttp's ClientSession; make it inside a running event loop.

    `timeout_seconds` bounds an attempt from `ready`'s return to the answer's last byte, and
    `connect_timeout_seconds` name resolution, TCP and TLS together. `ca_file` (PEM) takes the place
    of the system's certificate authorities; `proxy` is an http:// URL. An answer of more than
    `max_body_bytes`, decoded, is `too_large`; that of an error status is cut instead. Raises
    JobError where one of them can't work.
    """

    def __init__(
        self,
        timeout_seconds: float,
        connect_timeout_seconds: float = 10,
        ca_file: str | None = None,
        proxy: str | None = None,
        max_body_bytes: int = 16 * _MIB,
        idle_seconds: float = 4,
    ) -> None:
        tls = tls_context(ca_file) if ca_file is not None else True
        proxy_url = parse_proxy(proxy) if proxy is not None else None
        self.counters = Counters()
        self._endpoints = Endpoints()
        self._timeout_seconds = timeout_seconds
        self._max_body_bytes = max_body_bytes
        self._session = aiohttp.ClientSession(
            connector=Pool(
                self.counters,
                connect_timeout_seconds=connect_timeout_seconds,
                idle_seconds=idle_seconds,
                tls=tls,
            ),
            request_class=Post,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            trust_env=False,
            proxy=proxy_url,
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
            max_headers=_MOST_HEADERS,
        )

    async def send(self, request: Request, ready: Ready | None = None) -> Response | Failure:
        """Make one attempt (see Transport). Raises JobError for a URL or header that can't go."""
        endpoint = self._endpoints.of(request.url, request.headers)
        attempt = Attempt(ready, self._timeout_seconds)
        token = CURRENT.set(attempt)
        try:
            async with attempt.deadline:
                return await self._exchange(endpoint, request.body, attempt)
        except FOREIGN_ERRORS as error:
            refused = attempt.refusal
            kind, detail = reason_of(error, endpoint.place, attempt.wire is not None)
        finally:
            CURRENT.reset(token)
        if refused is not None:
            raise refused
        return _failure(kind, detail, attempt)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _exchange(
        self, endpoint: Endpoint, body: bytes, attempt: Attempt
    ) -> Response | Failure:
        try:
            return await self._write_and_read(endpoint, body, attempt)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if not attempt.may_repeat():
                raise
        attempt.repeat()
        self.counters.reconnects += 1
        return await self._write_and_read(endpoint, body, attempt)

    async def _write_and_read(
        self, endpoint: Endpoint, body: bytes, attempt: Attempt
    ) -> Response | Failure:
        answer = await self._session.request(
            "POST", endpoint.url, headers=endpoint.headers, data=body, allow_redirects=False
        )
        try:
            return await self._read(answer, endpoint, attempt)
        finally:
            answer.close()

    async def _read(
        self, answer: ClientResponse, endpoint: Endpoint, attempt: Attempt
    ) -> Response | Failure:
        if answer.status == 101:
            return _failure("malformed", f"{endpoint.place} switched to another protocol", attempt)
        if not 200 <= answer.status < 600:
            detail = f"{endpoint.place} answered with {answer.status}, which is no HTTP status"
            return _failure("malformed", detail, attempt)
        if 300 <= answer.status < 400:
            detail = f"{endpoint.place} {_way_of(answer, endpoint.url)}"
            return _failure("redirect", detail, attempt)
        body, whole = await _read_body(answer, self._max_body_bytes)
        if not whole and answer.status >= 400:
            body = body[:_CUT_BYTES]  # its status says what it is; the rest of it says nothing more
        elif not whole:
            detail = f"the answer of {endpoint.place} is larger than {self._max_body_bytes} bytes"
            return _failure("too_large", detail, attempt)
        done_ns = time.monotonic_ns()
        return Response(answer.status, answer.headers, body, attempt.sent_ns, done_ns)


async def _read_body(answer: ClientResponse, max_bytes: int) -> tuple[bytes, bool]:
    """The body, and whether that is all of it: one above `max_bytes` is not read to its end."""
    blocks: list[bytes] = []
    size = 0
    while block := await answer.content.readany():
        size += len(block)
        if size > max_bytes:
            return (blocks or [block])[0], False
        blocks.append(block)
    return blocks[0] if len(blocks) == 1 else b"".join(blocks), True


def _failure(kind: Kind, detail: str, attempt: Attempt) -> Failure:
    return Failure(kind, detail, attempt.sent_ns, time.monotonic_ns())


def _way_of(answer: ClientResponse, base: URL) -> str:
    location = answer.headers.get("Location")
    if location is None:
        return f"answered with {answer.status}, and names no other place"
    return f"redirects to {_origin_of(location, base)}"


def _origin_of(location: str, base: URL) -> str:
    try:
        return str(base.join(URL(location)).origin())
    except ValueError:
        return "an unreadable location"


def tls_context(ca_file: str) -> ssl.SSLContext:
    """What trusts the authorities in a file. Raises JobError where there are none."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, FileNotFoundError) else "not in PEM format"
        raise JobError(
            f"can't read the certificates of --ca-file {ca_file}: {words}",
            "Give a file of one or more CERTIFICATE blocks in PEM format.",
        ) from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def parse_proxy(proxy: str) -> URL:
    """A proxy's URL. Raises JobError unless it is an http:// one."""
    return parse_url(proxy, schemes=("http",), what="--proxy")
