"""How foreign errors become reasons."""

from __future__ import annotations

import socket
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from penstock.transport.failure import Kind, reason_of

KEY = ConnectionKey("h", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (aiohttp.ConnectionTimeoutError("x"), "connect_timeout", "no connection to h:443"),
        (TimeoutError(), "timeout", "no complete answer from h:443"),
        (
            aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-2, "Name unknown")),
            "dns",
            "Name unknown",
        ),
        (
            aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "[SSL: X] x")),
            "connect",
            "TLS handshake failed",
        ),
        (
            aiohttp.ClientConnectorError(KEY, OSError(111, "canary-key")),
            "connect",
            "Connection refused",
        ),
        (
            aiohttp.ClientConnectorError(KEY, OSError("canary-key")),
            "connect",
            "can't connect to h:443: OSError",
        ),
        (
            aiohttp.ClientProxyConnectionError(KEY, OSError(111, "")),
            "connect",
            "proxy: Connection refused",
        ),
        (aiohttp.ServerDisconnectedError("canary-key"), "disconnected", "h:443 closed"),
        (aiohttp.ClientOSError(104, "canary-key"), "disconnected", "h:443 closed"),
        (aiohttp.ClientPayloadError("canary-key"), "disconnected", "h:443 closed"),
        (ConnectionResetError(104, "canary-key"), "disconnected", "h:443 closed"),
    ],
)
def test_an_error_becomes_a_kind_and_fixed_words(error: Exception, kind: Kind, words: str) -> None:
    told = reason_of(error, "h:443", True)
    assert told[0] == kind
    assert words in told[1]
    assert "canary-key" not in told[1]


def test_an_end_before_there_is_a_connection_is_a_failure_to_connect() -> None:
    assert reason_of(aiohttp.ServerDisconnectedError(), "h:443", False)[0] == "connect"
