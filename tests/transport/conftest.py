"""Every transport keeps the same contract, on every event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from penstock.transport.direct import DirectTransport
from penstock.transport.failure import Failure
from penstock.transport.session import SessionTransport
from penstock.transport.transport import Request, Response, Transport
from transport.raw import RawServer, certificates

Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine function to its end; whatever the loop complains of fails the test."""

    def run_it(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        complaints: list[dict[str, Any]] = []
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.get_loop().set_exception_handler(lambda _, said: complaints.append(said))
            runner.run(asyncio.wait_for(main(), 30))
        assert not complaints

    return run_it


class Client:
    """A transport under test, aimed at a server."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.headers = {"Authorization": "Bearer canary-key"}

    async def ask(self, server: RawServer, body: bytes = b"{}", **more: Any) -> Response | Failure:
        return await self.transport.send(Request(server.url, self.headers, body), **more)

    async def answer(self, server: RawServer, body: bytes = b"{}", **more: Any) -> Response:
        outcome = await self.ask(server, body, **more)
        assert isinstance(outcome, Response), outcome
        return outcome

    async def failure(self, server: RawServer, body: bytes = b"{}", **more: Any) -> Failure:
        outcome = await self.ask(server, body, **more)
        assert isinstance(outcome, Failure), outcome
        return outcome

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.transport.close()


@pytest.fixture(params=[SessionTransport, DirectTransport], ids=["session", "direct"])
def client(request: pytest.FixtureRequest) -> Callable[..., Client]:
    """Make a client with a transport's options; within a running loop.

    Idle connections live long, so that one that a test sees closed was closed for another reason.
    """

    def make(**options: Any) -> Client:
        return Client(request.param(**{"timeout_seconds": 10, "idle_seconds": 60, **options}))

    return make


@pytest.fixture
def proxy_client() -> Callable[..., Client]:
    """As `client`, of the transport that goes through proxies."""
    return lambda **options: Client(SessionTransport(timeout_seconds=10, **options))


@pytest.fixture
def authority() -> str:
    """The file of the certificate authority that vouches for the test servers."""
    return str(certificates() / "authority.pem")
