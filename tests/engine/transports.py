"""A transport that answers from a function, and what it may answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

from penstock.transport.failure import Failure
from penstock.transport.transport import Counters, Ready, Request, Response

Served = Callable[[Request], Response | Failure]


def now_ns() -> int:
    """The time of the loop that is running."""
    return round(asyncio.get_running_loop().time() * 1e9)


class FakeTransport:
    """Answers what `serve` says, some time after the request was sent."""

    def __init__(self, serve: Served, seconds: float) -> None:
        self.counters = Counters()
        self.requests: list[Request] = []
        self.seconds = seconds
        self.closed = False
        self._serve = serve

    async def send(self, request: Request, ready: Ready | None = None) -> Response | Failure:
        self.requests.append(request)
        came = self._serve(request)
        if isinstance(came, Failure) and not came.sent_ns:
            return came
        if ready is not None and (waiting := ready()) is not None:
            await waiting
        sent_ns = now_ns()
        await asyncio.sleep(self.seconds)
        return msgspec.structs.replace(came, sent_ns=sent_ns, done_ns=now_ns())

    async def close(self) -> None:
        self.closed = True


def response(
    status: int = 200, body: bytes | Mapping[str, Any] = b"", headers: Mapping[str, str] = {}
) -> Response:
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Response(status, CIMultiDictProxy(CIMultiDict(headers)), data, 0, 0)


def chat(text: str = "hi", **usage: int) -> Response:
    message = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return response(200, {"model": "m-1", "choices": [message], "usage": usage or None})


def error(
    status: int, code: str | None = None, type: str | None = None, **headers: str
) -> Response:
    body = {"error": {"message": "it says why", "code": code, "type": type}}
    return response(status, body, {k.replace("_", "-"): v for k, v in headers.items()})
