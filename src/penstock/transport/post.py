"""aiohttp's request, written whole in the step of the event loop that hands it its connection.

aiohttp writes a body from a task of its own, which runs after everything else that is due: a ticket
would age by that turn of the loop, and each request would pay for a task. It also warns of every
body above 1 MiB. Our bodies are bytes that are already in memory, so one write does.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aiohttp import ClientRequest, hdrs
from aiohttp.http_writer import StreamWriter

from penstock.transport.attempt import CURRENT

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from aiohttp.connector import Connection


class Post(ClientRequest):
    """A request whose body is bytes."""

    def update_body_from_data(self, body: bytes, _stacklevel: int = 3) -> None:
        """Keep the body as it is, and say its length."""
        self._bytes = body
        self.headers[hdrs.CONTENT_LENGTH] = str(len(body))

    async def send(self, conn: Connection) -> ClientResponse:
        """Write the request without waiting for anything."""
        assert conn.protocol is not None
        writer = StreamWriter(conn.protocol, self.loop)
        await writer.write_headers(f"{self.method} {self._target()} HTTP/1.1", self.headers)
        CURRENT.get().sent_ns = time.monotonic_ns()
        await writer.write(self._bytes, drain=False)
        return self.response_class(
            self.method,
            self.original_url,
            writer=None,
            continue100=None,
            timer=self._timer,
            request_info=self.request_info,
            traces=self._traces,
            loop=self.loop,
            session=self._session,
            stream_writer=writer,
        )

    def _target(self) -> str:
        if self.proxy is not None and not self.is_ssl():
            return str(self.url)
        return self.url.raw_path_qs
