"""Opening connections: aiohttp's connector for names, addresses and TLS, without its pool."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, cast

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Callable

    from yarl import URL

    from penstock._wire import Line


class Opening(aiohttp.TCPConnector):
    """Opens a connection whenever it is asked to, and hands it over for good."""

    def __init__(
        self,
        make_line: Callable[[], Line],
        *,
        connect_timeout_seconds: float,
        tls: ssl.SSLContext | bool,
    ) -> None:
        # One resolver everywhere; aiohttp's default depends on what else is installed.
        super().__init__(limit=0, ssl=tls, resolver=aiohttp.ThreadedResolver())
        self._factory = cast(Any, make_line)
        self._connect_timeout_seconds = connect_timeout_seconds
        self._targets: dict[URL, aiohttp.ClientRequest] = {}

    async def open(self, url: URL) -> Line:
        """A new connection to where a URL leads; raises what aiohttp's client would."""
        target = self._targets.get(url)
        if target is None:
            target = self._targets[url] = aiohttp.ClientRequest("POST", url, loop=self._loop)
        try:
            async with asyncio.timeout(self._connect_timeout_seconds):
                made = await self._create_connection(target, [], aiohttp.ClientTimeout())
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        return cast("Line", made)

    async def _wrap_create_connection(self, *args: Any, **kwargs: Any) -> Any:
        """aiohttp's, but that the connection itself speaks TLS, not what the event loop has for it.

        Context and name are those that aiohttp would have handed to the loop, and errors become
        what it would have made of them.
        """
        context, hostname = kwargs.pop("ssl"), kwargs.pop("server_hostname")
        transport, made = await super()._wrap_create_connection(*args, **kwargs)
        if context is None:
            return transport, made
        line, key = cast("Line", made), kwargs["req"].connection_key
        try:
            await line.start_tls(context, hostname)
        except ssl.CertificateError as error:
            raise aiohttp.ClientConnectorCertificateError(key, error) from error
        except ssl.SSLError as error:
            raise aiohttp.ClientConnectorSSLError(key, error) from error
        except OSError as error:
            raise kwargs["client_error"](key, error) from error
        except asyncio.CancelledError:
            line.abort()
            raise
        return transport, made
