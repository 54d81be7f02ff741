"""Answers that a server should never send: each has one outcome, and none outlives its time."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest

from penstock.transport.failure import Failure
from penstock.transport.transport import Response
from transport.conftest import Run
from transport.raw import Peer, RawServer, chunked, counted, echo, until_end

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"5\r\nhello\r\n"
LAST = b"0\r\n\r\n"


def said(status_line: bytes, headers: bytes, body: bytes) -> bytes:
    return status_line + b"\r\n" + headers + b"\r\n\r\n" + body


def saying(data: bytes):
    """A server that answers every request with these bytes, and then waits for the next."""

    async def serve(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.say(data)

    return serve


def zipped(body: bytes, encoding: str = "gzip") -> bytes:
    return counted(body, headers=f"Content-Encoding: {encoding}\r\n")


READ = {
    "space behind a chunk's size": CHUNKED + b"5 \r\nhello\r\n" + LAST,
    "extensions of chunks": CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0;x\r\n\r\n',
    "a long extension": CHUNKED + b"5;" + b"a" * 70_000 + b"\r\nhello\r\n" + LAST,
    "trailers": CHUNKED + CHUNK + b"0\r\nX-A: b\r\nX-B: c\r\n\r\n",
    "zeros before a chunk's size": CHUNKED + b"000000000005\r\nhello\r\n" + LAST,
    "no reason": said(b"HTTP/1.1 200", b"Content-Length: 5", b"hello"),
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "a line break before it": b"\r\n" + counted(b"hello"),
    "a folded header": said(b"HTTP/1.1 200 OK", b"A: b\r\n c\r\nContent-Length: 5", b"hello"),
    "an upgrade that is offered": counted(b"hello", headers="Upgrade: h2c\r\n"),
    "not compressed, and saying so": zipped(b"hello", "identity"),
    "bare deflate": zipped(zlib.compress(b"hello")[2:-4], "deflate"),
    "1.0 that is kept": said(
        b"HTTP/1.0 200 OK", b"Connection: keep-alive\r\nContent-Length: 5", b"hello"
    ),
    "some information": b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" * 99 + counted(b"hello"),
}


@pytest.mark.parametrize("data", READ.values(), ids=READ)
def test_what_is_odd_but_clear_is_read_and_its_connection_kept(
    run: Run, client, data: bytes
) -> None:
    async def main() -> None:
        async with RawServer(saying(data)) as server, client() as it:
            assert (await it.answer(server)).body == b"hello"
            assert (await it.answer(server)).body == b"hello"
            assert len(server.peers) == 1

    run(main)


ENDED = {
    "1.0": said(b"HTTP/1.0 200 OK", b"Content-Length: 5", b"hello"),
    "connection: close": counted(b"hello", headers="Connection: close\r\n"),
    "connection: close, in chunks": chunked(b"hello", headers="Connection: close\r\n"),
    "204 with a body": said(b"HTTP/1.1 204 None", b"Content-Length: 5", b"hello"),
    "shorter than it says": said(b"HTTP/1.1 200 OK", b"Content-Length: 3", b"hello"),
    "the same answer twice": counted(b"hello") * 2,
    "the same answer 1000 times": counted(b"hello") * 1000,
    "information behind it": counted(b"hello") + b"HTTP/1.1 100 Continue\r\n\r\n",
}


@pytest.mark.parametrize("data", ENDED.values(), ids=ENDED)
def test_each_answer_is_the_last_of_its_connection(run: Run, client, data: bytes) -> None:
    async def main() -> None:
        async with RawServer(saying(data)) as server, client() as it:
            for number in range(3):
                answer = await it.answer(server)
                assert b"hello".startswith(answer.body)
                assert len(server.peers) == number + 1
                await server.peers[number].gone.wait()

    run(main)


MALFORMED = {
    "a negative chunk": CHUNKED + b"-5\r\nhello\r\n" + LAST,
    "a chunk beyond 64 bits": CHUNKED + b"f" * 18 + b"\r\nhello\r\n" + LAST,
    "a chunk's size with 0x": CHUNKED + b"0x5\r\nhello\r\n" + LAST,
    "a chunk's size with a sign": CHUNKED + b"+5\r\nhello\r\n" + LAST,
    "a chunk without a size": CHUNKED + b"\r\nhello\r\n" + LAST,
    "a chunk longer than its size": CHUNKED + b"4\r\nhello\r\n" + LAST,
    "no line break behind a chunk": CHUNKED + b"5\r\nhello0\r\n\r\n",
    "too many trailers": CHUNKED + CHUNK + b"0\r\n" + b"X-A: b\r\n" * 300 + b"\r\n",
    "endless trailers": CHUNKED + CHUNK + b"0\r\n" + b"X-A: b\r\n" * 50_000,
    "a long trailer": CHUNKED + CHUNK + b"0\r\nX: " + b"b" * 100_000 + b"\r\n\r\n",
    "a length among the trailers": CHUNKED + CHUNK + b"0\r\nContent-Length: 3\r\n\r\n",
    "the same length twice": said(
        b"HTTP/1.1 200 OK", b"Content-Length: 5\r\nContent-Length: 5", b"hello"
    ),
    "lengths in a list": said(b"HTTP/1.1 200 OK", b"Content-Length: 5, 5", b"hello"),
    "a length with a sign": said(b"HTTP/1.1 200 OK", b"Content-Length: +5", b"hello"),
    "a length in hexadecimal": said(b"HTTP/1.1 200 OK", b"Content-Length: 0x5", b"hello"),
    "a length beyond 64 bits": said(b"HTTP/1.1 200 OK", b"Content-Length: 1" + b"0" * 20, b""),
    "no length": said(b"HTTP/1.1 200 OK", b"Content-Length: ", b"hello"),
    "a header without a colon": said(b"HTTP/1.1 200 OK", b"Abc\r\nContent-Length: 5", b"hello"),
    "a header without a name": said(b"HTTP/1.1 200 OK", b": x\r\nContent-Length: 5", b"hello"),
    "a zero byte in a header": said(b"HTTP/1.1 200 OK", b"A: \0\r\nContent-Length: 5", b"hello"),
    "HTTP/0.9": b"hello",
    "HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00d",
    "status 1000": said(b"HTTP/1.1 1000 OK", b"Content-Length: 5", b"hello"),
    "status 99": said(b"HTTP/1.1 99 OK", b"Content-Length: 5", b"hello"),
    "no status": said(b"HTTP/1.1", b"Content-Length: 5", b"hello"),
    "too much information": b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" * 101 + counted(b"hello"),
    "information without end": b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
    "brotli": zipped(b"\x0b\x02\x80hello\x03", "br"),
    "a wrong checksum": zipped(gzip.compress(b"hello", mtime=0)[:-8] + b"12345678"),
    "more behind a gzip member": zipped(gzip.compress(b"hello", mtime=0) + b"garbage"),
    "deflate that is cut": zipped(zlib.compress(b"hello")[:-5], "deflate"),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_what_is_not_clear_is_malformed_and_ends_its_connection(
    run: Run, client, data: bytes
) -> None:
    async def main() -> None:
        async with RawServer(saying(data)) as server, client(timeout_seconds=5) as it:
            failure = await it.failure(server)
            assert (failure.kind, failure.sent_ns > 0) == ("malformed", True)
            await server.peers[0].gone.wait()

    run(main)


@pytest.mark.parametrize("status", [b"000", b"007", b"600", b"999"])
def test_a_status_that_http_does_not_have_is_malformed(run: Run, client, status: bytes) -> None:
    """000 was taken for an attempt that reached no server."""

    async def main() -> None:
        data = said(b"HTTP/1.1 " + status + b" OK", b"Content-Length: 5", b"hello")
        async with RawServer(saying(data)) as server, client() as it:
            assert (await it.failure(server)).kind == "malformed"

    run(main)


def test_information_is_counted_anew_for_each_request(run: Run, client) -> None:
    async def main() -> None:
        data = b"HTTP/1.1 102 Processing\r\n\r\n" * 60 + counted(b"1")
        async with RawServer(saying(data)) as server, client() as it:
            for _ in range(5):
                assert (await it.answer(server)).body == b"1"
            assert len(server.peers) == 1

    run(main)


@pytest.mark.parametrize("encoding", ["gzip, gzip", "x-gzip", "foo"])
def test_what_is_encoded_otherwise_is_never_inflated(run: Run, client, encoding: str) -> None:
    """Inflated once, a bomb within a bomb would be a bomb; as it is it can't be JSON."""

    async def main() -> None:
        inner = gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0)
        async with RawServer(saying(zipped(inner, encoding))) as server, client() as it:
            assert (await it.answer(server)).body == inner

    run(main)


DRIPS = {
    "an extension": (CHUNKED + b"5;", b"a" * 65_536),
    "a chunk's size": (CHUNKED, b"0" * 65_536),
    "line breaks before it": (b"", b"\r\n" * 32_768),
    "chunks of a byte": (CHUNKED, b"1\r\nx\r\n"),
    "a status line": (b"HTTP/1.1 200 O", b"K"),
    "a header": (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "a body": (said(b"HTTP/1.1 200 OK", b"Content-Length: 99999", b""), b"x"),
    "an error's body": (said(b"HTTP/1.1 500 No", b"Content-Length: 99999", b""), b"x"),
}


@pytest.mark.parametrize(("head", "drip"), DRIPS.values(), ids=DRIPS)
def test_what_comes_without_end_is_ended_by_the_timeout(
    run: Run, client, head: bytes, drip: bytes
) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            await peer.request()
            peer.say(head)
            while not peer.writer.is_closing():
                peer.say(drip)
                await peer.writer.drain()
                await asyncio.sleep(0.002)

        async with RawServer(serve) as server, client(timeout_seconds=0.1) as it:
            failure = await it.failure(server)
            assert failure.kind == "timeout"
            assert failure.done_ns - failure.sent_ns < 5e9
            await server.peers[0].gone.wait()

    run(main)


@pytest.mark.parametrize("framing", [counted, chunked, until_end])
@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_the_body_of_an_error_that_is_too_large_is_cut_and_its_status_stands(
    run: Run, client, status: int, framing
) -> None:
    """It was `too_large` whatever the status, and the record of a 429 a dead letter."""

    async def main() -> None:
        data = framing(b"x" * 200_000).replace(b" 200 ", b" %d " % status, 1)
        async with RawServer(saying(data)) as server, client(max_body_bytes=100_000) as it:
            answer = await it.answer(server)
            assert answer.status == status
            assert 0 < len(answer.body) <= 16 << 10
            assert set(answer.body) == set(b"x")
            await server.peers[0].gone.wait()

    run(main)


def test_a_redirect_without_a_location_says_so(run: Run, client) -> None:
    async def main() -> None:
        async with (
            RawServer(saying(b"HTTP/1.1 304 Not Modified\r\n\r\n")) as server,
            client() as it,
        ):
            failure = await it.failure(server)
            assert failure.kind == "redirect"
            assert "304" in failure.detail

    run(main)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_of_a_redirect_to_another_scheme_or_host_nothing_is_sent_there(
    run: Run, client, authority: str, status: int
) -> None:
    async def main() -> None:
        async with (
            RawServer(echo) as plain,
            RawServer(echo, "localhost") as encrypted,
            client(ca_file=authority) as it,
        ):
            for there in (plain.url, encrypted.url, f"http://127.0.0.1:{plain.port}/"):
                head = f"HTTP/1.1 {status} R\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n"
                async with RawServer(saying(head.encode())) as server:
                    assert (await it.failure(server)).kind == "redirect"
                    assert len(server.peers) == 1
            assert (plain.peers, encrypted.peers) == ([], [])

    run(main)


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_an_early_413_is_read_or_the_attempt_is_disconnected_and_nothing_else(
    run: Run, client, ending: str
) -> None:
    """The server answers at once and closes, with most of the request still unread.

    Its reset may overtake its answer; then the request is made again, and ends by its attempts.
    """

    async def main() -> None:
        async def serve(peer: Peer) -> None:
            await peer.reader.readuntil(b"\r\n\r\n")
            peer.say(counted(b"too much", 413, "Connection: close\r\n"))
            await getattr(peer, ending)()

        async with RawServer(serve) as server, client() as it:
            for _ in range(5):
                outcome = await it.ask(server, b"x" * 8_000_000)
                if isinstance(outcome, Failure):
                    assert outcome.kind == "disconnected"
                else:
                    assert (outcome.status, outcome.body) == (413, b"too much")
            assert it.transport.counters.reconnects == 0

    run(main)


def test_neighbours_of_a_hostile_connection_get_their_own_answers(run: Run, client) -> None:
    """Every third request meets one of the above, all at once; the others notice nothing."""
    evil = [*MALFORMED.values(), *ENDED.values()]

    async def main() -> None:
        async def serve(peer: Peer) -> None:
            while True:
                number = int(await peer.request())
                if number % 3:
                    peer.say(counted(b"own %d" % number))
                else:
                    peer.say(evil[number // 3 % len(evil)])

        async with RawServer(serve) as server, client(timeout_seconds=5) as it:
            numbers = range(3 * len(evil))
            outcomes = await asyncio.gather(*(it.ask(server, b"%d" % n) for n in numbers))
            for number, outcome in zip(numbers, outcomes, strict=True):
                if number % 3:
                    assert isinstance(outcome, Response)
                    assert outcome.body == b"own %d" % number
                else:
                    assert isinstance(outcome, Failure) or b"hello".startswith(outcome.body)

    run(main)
