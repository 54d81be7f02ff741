"""Why an attempt got no answer, and the one place where foreign errors become such a reason.

Details are made of fixed words, the endpoint's host, and what the operating system or the TLS
library calls the error. What aiohttp says is never repeated: its messages quote the bytes that
came, where servers echo keys, and its exceptions hold the request's headers.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import Final, Literal

import aiohttp
import msgspec
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError

Kind = Literal[
    "connect",
    "dns",
    "tls",
    "timeout",
    "connect_timeout",
    "disconnected",
    "too_large",
    "malformed",
    "redirect",
    "no_memory",
]

# All that aiohttp and the sockets below it raise for what a network or a server did.
FOREIGN_ERRORS: Final = (aiohttp.ClientError, HttpProcessingError, OSError, TimeoutError)


class Failure(msgspec.Struct, frozen=True):
    """An attempt without a usable answer.

    `sent_ns` is when the request was last begun to be written; 0: never, and no byte of it can have
    reached the server. Times are CLOCK_MONOTONIC. `detail` may be shown to anybody.
    """

    kind: Kind
    detail: str
    sent_ns: int
    done_ns: int


def reason_of(error: BaseException, place: str, connected: bool) -> tuple[Kind, str]:
    """The kind and the detail of what was raised while talking to `place` (host:port).

    `connected` tells whether the attempt already had a connection in hand.
    """
    match error:
        case aiohttp.ConnectionTimeoutError():
            return "connect_timeout", f"no connection to {place} in time"
        case TimeoutError():
            return "timeout", f"no complete answer from {place} in time"
        case aiohttp.ClientConnectorDNSError():
            return "dns", f"can't resolve {place}: {_os_words(error.os_error)}"
        case aiohttp.ClientSSLError():
            return _tls_kind(error.os_error), f"no TLS with {place}: {_os_words(error.os_error)}"
        case aiohttp.ClientHttpProxyError():
            return "connect", f"the proxy answered {error.status} instead of a tunnel to {place}"
        case aiohttp.ClientProxyConnectionError():
            return "connect", f"can't connect to the proxy: {_os_words(error.os_error)}"
        case aiohttp.ClientConnectorError():
            return "connect", f"can't connect to {place}: {_os_words(error.os_error)}"
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return "malformed", f"{place} answered what is not HTTP ({_root_name(error)})"
        case aiohttp.ClientPayloadError() if isinstance(error.__cause__, ContentEncodingError):
            return "malformed", f"the answer of {place} can't be decompressed"
    if not connected:
        return "connect", f"the connection to {place} ended while it was made"
    return "disconnected", f"{place} closed the connection before its answer was complete"


def _tls_kind(error: OSError) -> Kind:
    # A server that starts or is overloaded breaks handshakes off, and that passes; these don't.
    untrusted = isinstance(error, ssl.SSLCertVerificationError)
    not_tls = getattr(error, "reason", None) == "WRONG_VERSION_NUMBER"
    return "tls" if untrusted or not_tls else "connect"


def _os_words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return getattr(error, "reason", None) or "TLS handshake failed"
    if isinstance(error, socket.gaierror):
        return error.strerror or "name resolution failed"
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _root_name(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return type(error).__name__
