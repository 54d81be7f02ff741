"""The provider simulator as a server, in a running event loop or as the whole of a process."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import ssl
import time
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from penstock.errors import UsageError
from penstock.simulator.connection import Connection
from penstock.simulator.provider import Provider
from penstock.simulator.settings import Settings

BACKLOG = 4096
MAX_FILES = 65536


class Simulator:
    """A simulated provider on a socket; also an async context manager.

    `start` raises UsageError where it can't listen, or can't read its certificate.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.port = 0
        self._provider = Provider(self.settings, time.time() - time.monotonic())
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        """Where the API is, up to and with `/v1`; from `start` on."""
        return base_url(self.settings, self.port)

    async def start(self) -> None:
        settings = self.settings
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connect,
                settings.host,
                settings.port,
                backlog=BACKLOG,
                ssl=server_tls(settings),
            )
        except OSError as error:
            raise UsageError(
                f"the simulator can't listen on {settings.host}:{settings.port}: {error}",
                "Give another port (0 takes a free one), host or certificate.",
            ) from None
        self.port = self._server.sockets[0].getsockname()[1]

    def stats(self) -> dict[str, Any]:
        """What was seen since start or reset: the answer to GET /stats.

        Keys: received; requests: route -> status (`none`: not a byte sent) -> count; in_flight,
        in_flight_most; busiest_second, busiest_100ms: most requests in any such window;
        prompt_tokens, completion_tokens: of whole answers; faults: kind -> count; limited: limit ->
        429s; distinct_bodies: bodies admitted; answered_bodies: bodies with a whole answer;
        asked_again: requests for bodies that had one; duplicates, duplicate_texts: bodies with more
        than one; rejected, rejected_texts: bodies refused every time; connections.
        """
        return self._provider.stats.snapshot()

    def reset(self) -> None:
        """Forgets all that was counted, and revives key and quota: POST /reset."""
        self._provider.reset()

    async def stop(self) -> None:
        """Closes the socket and cuts every connection."""
        if self._server is None:
            return
        self._server.close()
        for connection in tuple(self._connections):
            connection.abort()
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _connect(self) -> Connection:
        return Connection(self._provider, time.monotonic_ns, self._connections)


def base_url(settings: Settings, port: int) -> str:
    """The API's URL for a client on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    scheme = "https" if settings.certfile else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/v1"


def server_tls(settings: Settings) -> ssl.SSLContext | None:
    """The TLS side of the settings. Raises OSError (ssl.SSLError too) for bad files."""
    if settings.certfile is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.certfile, settings.keyfile)
    return context


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Runs a simulator until SIGINT or SIGTERM; `announce` is given its base URL.

    Must be called in the main thread. Raises UsageError where it can't listen.
    """
    run_until(settings, announce, wait_for_signal)


def run_until(
    settings: Settings,
    announce: Callable[[str], None],
    ended: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    """Runs a simulator as this process's work, until `ended()` returns."""

    async def main() -> None:
        async with Simulator(settings) as simulator:
            announce(simulator.base_url)
            await ended()

    prepare_process()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def prepare_process() -> None:
    """Room for many connections, and no collector's pauses: a stalled server sees a client that
    kept its rate arrive in a burst, and throttles it for it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


async def wait_for_signal() -> None:
    """Returns at the first SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
