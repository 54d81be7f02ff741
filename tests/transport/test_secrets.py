"""The key is in no failure, repr, log or complaint of the loop, whatever a server does."""

from __future__ import annotations

import asyncio
import logging
import traceback

import pytest

from penstock.errors import JobError
from penstock.transport.failure import Failure
from penstock.transport.transport import Request, Response
from transport.conftest import Run
from transport.raw import Peer, RawServer, counted

CANARY = "canary-key"
KEY = CANARY.encode()

ECHOES = {
    "status line": b"HTTP/1.1 canary-key canary-key\r\n\r\n",
    "header name": b"HTTP/1.1 200 OK\r\ncanary-key canary-key: \x00\r\n\r\n",
    "long header": b"HTTP/1.1 200 OK\r\nA: " + KEY * 5000 + b"\r\n\r\n",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ncanary-key\r\n",
    "encoding": counted(KEY, headers="Content-Encoding: gzip\r\nX: canary-key\r\n"),
    "location": b"HTTP/1.1 307 canary-key\r\nLocation: http://canary-key@h/canary-key\r\n\r\n",
    "cut head": b"HTTP/1.1 200 canary-key\r\nX: canary-key\r\n",
    "cut body": counted(KEY * 10, headers="X: canary-key\r\n")[:-1],
    "nothing": b"",
    "upgrade": b"HTTP/1.1 101 canary-key\r\nUpgrade: canary-key\r\nConnection: upgrade\r\n\r\n",
    "too large": counted(KEY * 500),
    "answer": counted(KEY, headers="X: canary-key\r\n"),
    "refusal": counted(KEY, 401, "WWW-Authenticate: canary-key\r\n"),
}


@pytest.mark.parametrize("said", ECHOES.values(), ids=ECHOES)
def test_no_outcome_shows_the_key(run: Run, client, caplog, said: bytes) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async def serve(peer: Peer) -> None:
            await peer.request()
            peer.say(said)

        async with RawServer(serve) as server, client(max_body_bytes=2000) as it:
            outcome = await it.ask(server)
            assert isinstance(outcome, (Failure, Response))
            assert KEY in server.peers[0].heads[0]
            told = [repr(outcome), str(outcome), repr(outcome.__rich_repr__()), caplog.text]
            assert CANARY not in "".join(told)

    run(main)


def test_no_failure_to_connect_shows_the_key(run: Run, client, caplog) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with client() as it:
            for url in ("http://127.0.0.1:1/", "https://127.0.0.1:1/", "http://nowhere.invalid/"):
                outcome = await it.transport.send(Request(url, it.headers, KEY))
                assert isinstance(outcome, Failure)
                assert CANARY not in repr(outcome) + caplog.text

    run(main)


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://canary-key:canary-key@127.0.0.1:1/", {}),
        ("http://canary-key@127.0.0.1:1/", {}),
        ("http://[canary-key", {}),
        ("canary-key", {}),
        ("/canary-key", {}),
        ("ftp://canary-key/", {}),
        ("http://127.0.0.1:1/", {"Authorization": "canary-key\n"}),
        ("http://127.0.0.1:1/", {"Authorization": "canary-key\r\nX: y"}),
    ],
)
def test_a_request_that_can_not_be_sent_is_refused_without_showing_the_key(
    run: Run, client, url: str, headers: dict[str, str]
) -> None:
    async def main() -> None:
        async with client() as it:
            with pytest.raises(JobError) as caught:
                await it.transport.send(Request(url, headers, b"{}"))
            assert caught.value.next_step
            assert CANARY not in "".join(traceback.format_exception(caught.value))

    run(main)


def test_what_ready_raises_carries_no_key(run: Run, client) -> None:
    async def main() -> None:
        async def ready() -> None:
            raise TimeoutError

        async with RawServer(lambda peer: peer.linger()) as server, client() as it:
            with pytest.raises(TimeoutError) as caught:
                await it.ask(server, ready=ready)
            assert CANARY not in "".join(traceback.format_exception(caught.value))

    run(main)


def test_a_request_shows_neither_its_url_nor_its_headers_nor_its_body() -> None:
    request = Request(f"http://h/?key={CANARY}", {"Authorization": CANARY}, KEY)
    told = [repr(request), str(request), f"{request}", repr(request.__rich_repr__())]
    assert CANARY not in "".join(told)


def test_an_abandoned_transport_shows_no_key(run: Run, client, recwarn) -> None:
    async def main() -> None:
        complaints: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, said: complaints.append(repr(said)))
        async with RawServer(lambda peer: peer.linger()) as server, client() as it:
            asking = asyncio.create_task(it.ask(server))
            await server.peer(0)
            await it.transport.close()
            assert CANARY not in repr(await asking)
        assert CANARY not in "".join(complaints)

    run(main)
    assert CANARY not in "".join(str(warning.message) for warning in recwarn)
