"""The transport over aiohttp's ClientSession.

The one for proxies; where there is none, `direct` does the same for less. One deadline per attempt,
ours: aiohttp's own begins before a connection is there, and rounds up to whole seconds.
"""

from __future__ import annotations

import time

import aiohttp

from penstock.transport.answers import HEADER_BYTES, MOST_HEADERS, read_answer
from penstock.transport.attempt import CURRENT, Attempt
from penstock.transport.endpoint import Endpoint, Endpoints, parse_proxy
from penstock.transport.failure import FOREIGN_ERRORS, Failure, reason_of
from penstock.transport.pool import Pool
from penstock.transport.post import Post
from penstock.transport.tls import tls_context
from penstock.transport.transport import Counters, Ready, Request, Response


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
        max_body_bytes: int = 16 << 20,
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
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            max_headers=MOST_HEADERS,
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
        return Failure(kind, detail, attempt.sent_ns, time.monotonic_ns())

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
            return await read_answer(
                endpoint,
                answer.status,
                answer.headers,
                answer.content,
                self._max_body_bytes,
                attempt.sent_ns,
            )
        finally:
            answer.close()
