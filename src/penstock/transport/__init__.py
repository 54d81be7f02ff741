"""Request bytes out, response bytes in: connections, deadlines, bounds, and no word of prompts."""

from __future__ import annotations

from penstock.transport.failure import STATUS_OF_KIND, Failure, Kind
from penstock.transport.session import SessionTransport
from penstock.transport.transport import Counters, Ready, Request, Response, Transport

__all__ = [
    "STATUS_OF_KIND",
    "Counters",
    "Failure",
    "Kind",
    "Ready",
    "Request",
    "Response",
    "SessionTransport",
    "Transport",
]
