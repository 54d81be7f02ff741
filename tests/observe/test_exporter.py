from __future__ import annotations

import asyncio
import socket
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from penstock.errors import EXIT_USAGE, UsageError
from penstock.observe import exporter
from penstock.observe.exporter import Exporter, listen

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
PAGE = b"penstock_up 1\n" * 20_000  # more than a socket's buffers take at once


@asynccontextmanager
async def serving(render: Callable[[], bytes] = lambda: PAGE) -> AsyncIterator[Exporter]:
    server = Exporter(listen("127.0.0.1", "0")[0], render)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


def run(
    check: Callable[[], Awaitable[None]], loop_factory: Callable[[], object] | None = None
) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await check()

    with asyncio.Runner(loop_factory=loop_factory) as runner:  # type: ignore[arg-type]
        runner.run(bounded())


async def ask(server: Exporter, request: bytes) -> bytes:
    """All that the server answers to some bytes, until it closes the connection."""
    host, port = server.url.removeprefix("http://").removesuffix("/metrics").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        return await reader.read(-1)
    except ConnectionResetError:
        return b""
    finally:
        writer.transport.abort()


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop go on until something is so; `run` bounds the wait."""
    while not condition():  # noqa: ASYNC110 - the server has no event for its clients
        await asyncio.sleep(0)


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@pytest.mark.parametrize("loop", LOOPS)
def test_metrics_are_served_whole(loop: Callable[[], object]) -> None:
    async def check() -> None:
        async with serving() as server:
            answer = await ask(server, get("/metrics"))
            first, _, body = answer.partition(b"\r\n\r\n")
            assert first.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"Content-Type: text/plain; version=0.0.4; charset=utf-8" in first
            assert body == PAGE
            assert len(server.scrape_times) == 1

    run(check, loop)


def test_an_ordinary_client_reads_it() -> None:
    async def check() -> None:
        async with serving() as server:
            answer = await asyncio.to_thread(lambda: urllib.request.urlopen(server.url).read())
            assert answer == PAGE

    run(check)


def test_health_is_answered_and_is_no_scrape() -> None:
    async def check() -> None:
        async with serving() as server:
            assert (await ask(server, get("/healthz"))).endswith(b"\r\n\r\n200 OK\n")
            assert not server.scrape_times

    run(check)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (get("/"), b"404"),
        (get("/metrics/x"), b"404"),
        (get("/metrics", "POST"), b"405"),
        (get("/metrics?name=x"), b"200"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /metrics SMTP/1.0\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\xff\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\n" + b"x: y\r\n" * 5000 + b"\r\n", b"400"),
    ],
)
def test_what_is_no_scrape_gets_an_answer_that_says_so(request_bytes: bytes, status: bytes) -> None:
    async def check() -> None:
        async with serving() as server:
            answer = await ask(server, request_bytes)
            # A server that closes while bytes are unread may cut its own answer off.
            assert not answer or answer.split(b" ")[1] == status
            assert answer or len(request_bytes) > exporter.HEAD_LIMIT_BYTES
            assert (await ask(server, get("/healthz"))).startswith(b"HTTP/1.1 200")

    run(check)


def test_head_has_the_length_and_no_body() -> None:
    async def check() -> None:
        async with serving() as server:
            answer = await ask(server, get("/metrics", "HEAD"))
            assert f"Content-Length: {len(PAGE)}".encode() in answer
            assert answer.endswith(b"\r\n\r\n")

    run(check)


@pytest.mark.parametrize("said", [b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\nHost"])
def test_a_silent_client_is_cut_off_and_nobody_waits_for_it(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "CLIENT_SECONDS", 0.2)

    async def check() -> None:
        async with serving() as server:
            silent = asyncio.create_task(ask(server, said))
            assert (await ask(server, get("/metrics"))).endswith(PAGE)
            assert await silent == b""

    run(check)


def test_a_client_that_never_reads_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "CLIENT_SECONDS", 0.2)

    async def check() -> None:
        async with serving(lambda: b"x" * 50_000_000) as server:
            host, port = server.url.removeprefix("http://").removesuffix("/metrics").split(":")
            with socket.create_connection((host, int(port))) as client:
                client.sendall(get("/metrics"))
                await until(lambda: bool(server._clients))
                await asyncio.gather(*server._clients)
            assert not server._clients

    run(check)


def test_more_clients_than_places_are_turned_away_and_the_others_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporter, "MOST_CLIENTS", 2)

    async def check() -> None:
        async with serving() as server:
            silent = [asyncio.create_task(ask(server, b"")) for _ in range(2)]
            await until(lambda: len(server._clients) == 2)
            assert await ask(server, get("/metrics")) == b""
            for one in silent:
                one.cancel()
            await asyncio.gather(*silent, return_exceptions=True)
            await until(lambda: not server._clients)
            assert (await ask(server, get("/metrics"))).endswith(PAGE)

    run(check)


@pytest.mark.parametrize("loop", LOOPS)
def test_closing_cuts_clients_and_frees_the_port(loop: Callable[[], object]) -> None:
    async def check() -> None:
        async with serving() as server:
            silent = asyncio.create_task(ask(server, b"GET"))
            await until(lambda: bool(server._clients))
            port = int(server.url.removesuffix("/metrics").rpartition(":")[2])
        assert await silent == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()

    run(check, loop)


def test_a_server_that_never_started_closes() -> None:
    async def check() -> None:
        listener, _ = listen("127.0.0.1", "0")
        await Exporter(listener, lambda: b"").close()
        assert listener.fileno() == -1

    run(check)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        yield holder.getsockname()[1]


def test_an_explicit_port_that_is_taken_is_a_usage_error(taken: int) -> None:
    with pytest.raises(UsageError, match=f"--metrics-port {taken} on 127.0.0.1") as caught:
        listen("127.0.0.1", str(taken))
    assert caught.value.exit_code == EXIT_USAGE
    assert "--metrics-port off" in caught.value.next_step


def test_the_usual_port_taken_gives_way_to_a_free_one_and_says_so(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "DEFAULT_PORT", taken)
    listener, note = listen("127.0.0.1", "auto")
    with listener:
        chosen = listener.getsockname()[1]
    assert chosen != taken
    assert note == f"port {taken} is taken; the metrics are on port {chosen}"


def test_the_usual_port_is_used_without_a_word_where_it_is_free(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, _ = listen("127.0.0.1", "0")
    free = listener.getsockname()[1]
    listener.close()
    monkeypatch.setattr(exporter, "DEFAULT_PORT", free)
    listener, note = listen("127.0.0.1", "auto")
    with listener:
        assert (listener.getsockname()[1], note) == (free, "")


@pytest.mark.parametrize("port", ["auto", "0"])
def test_a_host_that_is_not_this_machine_is_a_usage_error(port: str) -> None:
    with pytest.raises(UsageError, match=r"192\.0\.2\.1"):
        listen("192.0.2.1", port)


def test_the_url_of_an_ipv6_address_has_brackets() -> None:
    try:
        listener, _ = listen("::1", "0")
    except UsageError:
        pytest.skip("this machine has no IPv6 loopback")
    with listener:
        port = listener.getsockname()[1]
        assert Exporter(listener, lambda: b"").url == f"http://[::1]:{port}/metrics"
