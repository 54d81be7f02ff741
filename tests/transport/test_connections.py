"""Which connection a request may go out on, and what becomes of it."""

from __future__ import annotations

import asyncio

import pytest

from transport.conftest import Run
from transport.raw import (
    Peer,
    RawServer,
    chunked,
    chunked_zipped,
    counted,
    echo,
    zipped,
)

FRAMINGS = [counted, chunked, zipped, chunked_zipped]
SURPLUS = {
    "another answer": counted(b'"stale"'),
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "a line break": b"\r\n",
    "one byte": b"H",
    "garbage": b"\x00\xff garbage \n\n garbage",
}


def test_a_connection_is_used_again(run: Run, client) -> None:
    async def main() -> None:
        async with RawServer(echo) as server, client() as it:
            for body in (b"1", b"2", b"3"):
                assert (await it.answer(server, body)).body == body
            assert len(server.peers) == 1

    run(main)


def test_as_many_connections_are_opened_as_there_are_requests_under_way(run: Run, client) -> None:
    async def main() -> None:
        everybody = asyncio.Barrier(150)

        async def serve(peer: Peer) -> None:
            body = await peer.request()
            await everybody.wait()
            peer.say(counted(body))
            await peer.linger()

        async with RawServer(serve) as server, client() as it:
            bodies = [b"%d" % n for n in range(150)]
            answers = await asyncio.gather(*(it.answer(server, body) for body in bodies))
            assert [answer.body for answer in answers] == bodies

    run(main)


@pytest.mark.parametrize("certificate", [None, "localhost"])
def test_bytes_on_an_idle_connection_close_it(run: Run, client, certificate, authority) -> None:
    async def main() -> None:
        async with RawServer(echo, certificate) as server, client(ca_file=authority) as it:
            await it.answer(server, b"1")
            server.peers[0].say(counted(b'"stale"'))
            await server.peers[0].gone.wait()
            assert (await it.answer(server, b"2")).body == b"2"
            assert len(server.peers) == 2
            assert it.transport.counters.soiled == 1

    run(main)


@pytest.mark.parametrize("certificate", [None, "localhost"])
def test_bytes_that_the_loop_has_not_seen_yet_are_nobodys_answer(
    run: Run, client, certificate, authority
) -> None:
    async def main() -> None:
        async with RawServer(echo, certificate) as server, client(ca_file=authority) as it:
            await it.answer(server, b"1")
            server.peers[0].slip(counted(b'"stale"'))
            assert (await it.answer(server, b"2")).body == b"2"
            assert len(server.peers) == 2

    run(main)


@pytest.mark.parametrize("surplus", SURPLUS.values(), ids=SURPLUS)
@pytest.mark.parametrize("framing", FRAMINGS)
def test_an_answer_with_more_behind_it_stands_and_ends_its_connection(
    run: Run, client, framing, surplus: bytes
) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            body = await peer.request()
            peer.say(framing(body) + (surplus if peer.number == 0 else b""))
            await peer.linger()

        async with RawServer(serve) as server, client() as it:
            assert (await it.answer(server, b'{"row":1}')).body == b'{"row":1}'
            await server.peers[0].gone.wait()
            assert (await it.answer(server, b'{"row":2}')).body == b'{"row":2}'
            assert len(server.peers) == 2
            assert it.transport.counters.soiled == 1

    run(main)


def test_an_encrypted_answer_with_more_behind_it_stands_and_ends_its_connection(
    run: Run, client, authority
) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            body = await peer.request()
            peer.say(counted(body) + (counted(b'"stale"') if peer.number == 0 else b""))
            await peer.linger()

        async with RawServer(serve, "localhost") as server, client(ca_file=authority) as it:
            assert (await it.answer(server, b'{"row":1}')).body == b'{"row":1}'
            await server.peers[0].gone.wait()
            assert (await it.answer(server, b'{"row":2}')).body == b'{"row":2}'
            assert len(server.peers) == 2
            assert it.transport.counters.soiled == 1

    run(main)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_final_answer_with_more_behind_it_stands(run: Run, client, framing) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            answer = framing(await peer.request())
            peer.say(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) + b"more of it")
            await peer.close()

        async with RawServer(serve) as server, client() as it:
            assert (await it.answer(server, b'{"row":1}')).body == b'{"row":1}'

    run(main)


@pytest.mark.parametrize("framing", [counted, chunked])
def test_more_behind_a_body_that_was_waited_for_ends_the_connection(
    run: Run, client, framing
) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            answer = framing(await peer.request())
            cut = answer.index(b"\r\n\r\n") + (17 << 20)
            await peer.say_and_be_heard(answer[:cut])
            peer.say(answer[cut:] + (counted(b'"stale"') if peer.number == 0 else b""))
            await peer.linger()

        async with RawServer(serve) as server, client(max_body_bytes=64 << 20) as it:
            body = bytes(18 << 20)
            assert (await it.answer(server, body)).body == body
            await server.peers[0].gone.wait()
            assert it.transport.counters.soiled == 1

    run(main)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("surplus", [b"", counted(b'"stale"')], ids=["alone", "more"])
def test_an_answer_beyond_all_buffers_is_whole_and_its_end_is_seen(
    run: Run, client, framing, surplus: bytes
) -> None:
    big = b'"' + b"0123456789\n\n\r\n\r\n" * 50_000 + b'"'

    async def main() -> None:
        async def serve(peer: Peer) -> None:
            await peer.request()
            peer.say(framing(big) + surplus)
            await peer.linger()

        async with RawServer(serve) as server, client() as it:
            assert (await it.answer(server)).body == big
            if surplus:
                await server.peers[0].gone.wait()
            assert it.transport.counters.soiled == bool(surplus)

    run(main)


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_connection_that_ended_while_idle_is_not_used(run: Run, client, ending: str) -> None:
    async def main() -> None:
        async with RawServer(echo) as server, client() as it:
            await it.answer(server, b"1")
            await getattr(server.peers[0], ending)()
            assert (await it.answer(server, b"2")).body == b"2"
            assert it.transport.counters.reconnects == 0

    run(main)


def test_a_connection_lives_its_idle_time_and_no_longer(run: Run, client) -> None:
    async def main() -> None:
        async with RawServer(echo) as server, client(idle_seconds=0.3) as it:
            await it.answer(server)
            await it.answer(server)
            assert len(server.peers) == 1
            await server.peers[0].gone.wait()
            await it.answer(server)
            assert len(server.peers) == 2

    run(main)


def test_an_answer_before_its_request_was_written_whole_ends_the_connection(
    run: Run, client
) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            await peer.reader.readuntil(b"\r\n\r\n")
            peer.writer.transport.pause_reading()
            peer.say(counted(b"too much", 413))
            await answered.wait()
            peer.writer.transport.resume_reading()
            await peer.linger()
            ended.set()

        answered, ended = asyncio.Event(), asyncio.Event()
        async with RawServer(serve) as server, client() as it:
            answer = await it.answer(server, b"x" * 30_000_000)
            assert (answer.status, answer.body) == (413, b"too much")
            answered.set()
            await ended.wait()

    run(main)


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_reused_connection_that_ends_unanswered_is_replaced_unseen(
    run: Run, client, ending: str
) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            peer.say(counted(await peer.request()))
            bodies.append(await peer.request())
            await getattr(peer, ending)()

        bodies: list[bytes] = []
        async with RawServer(serve) as server, client() as it:
            asked = 0

            async def ready() -> None:
                nonlocal asked
                asked += 1

            await it.answer(server, b"1")
            assert (await it.answer(server, b"2", ready=ready)).body == b"2"
            assert bodies == [b"2"]
            assert asked == 1
            assert len(server.peers) == 2
            assert it.transport.counters.reconnects == 1

    run(main)


def test_the_replacement_is_never_another_idle_connection(run: Run, client) -> None:
    async def main() -> None:
        both = asyncio.Barrier(2)

        async def serve(peer: Peer) -> None:
            body = await peer.request()
            if peer.number < 2:
                await both.wait()
            peer.say(counted(body))
            await peer.request()

        async with RawServer(serve) as server, client() as it:
            await asyncio.gather(it.answer(server, b"1"), it.answer(server, b"2"))
            assert (await it.answer(server, b"3")).body == b"3"
            assert len(server.peers) == 3

    run(main)


def test_a_connection_is_replaced_once(run: Run, client) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            body = await peer.request()
            if peer.number == 0:
                peer.say(counted(body))
                await peer.request()

        async with RawServer(serve) as server, client() as it:
            await it.answer(server, b"1")
            failure = await it.failure(server, b"2")
            assert (failure.kind, failure.sent_ns > 0) == ("disconnected", True)
            assert len(server.peers) == 2

    run(main)


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_new_connection_that_ends_unanswered_is_a_failure(run: Run, client, ending: str) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            await peer.request()
            await getattr(peer, ending)()

        async with RawServer(serve) as server, client() as it:
            failure = await it.failure(server)
            assert (failure.kind, failure.sent_ns > 0) == ("disconnected", True)
            assert len(server.peers) == 1
            assert it.transport.counters.reconnects == 0

    run(main)


@pytest.mark.parametrize("said", [b"H", b"HTTP/1.1 200 OK\r\nA: b\r\n", b"HTTP/1.1 100 Go\r\n\r\n"])
def test_a_reused_connection_that_ends_within_an_answer_is_a_failure(
    run: Run, client, said: bytes
) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            peer.say(counted(await peer.request()))
            await peer.request()
            peer.say(said)

        async with RawServer(serve) as server, client() as it:
            await it.answer(server, b"1")
            assert (await it.failure(server, b"2")).kind == "disconnected"
            assert len(server.peers) == 1

    run(main)
