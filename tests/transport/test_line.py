"""The direct transport's protocol of one connection, fed by hand, and against aiohttp's parser."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Iterable
from typing import Any

import pytest
from aiohttp import ClientConnectionResetError, ClientError, ServerDisconnectedError
from aiohttp.http_exceptions import HttpProcessingError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock._wire import Headers, Line, Lines
from penstock.transport.transport import Counters, Response
from penstock.transport.wire import Wire
from transport.raw import chunked, chunked_zipped, counted, zipped
from transport.test_wire import FRAMINGS, INFORMATION, Pipe, cut

HEAD = b"POST / HTTP/1.1\r\nContent-Length: "
CAP = 100_000
BURST = 32  # requests that are written at once


class FedLine:
    """A line that requests can be written to, and the other end of its socket."""

    def __init__(self) -> None:
        self.here, self.there = socket.socketpair()
        self.counters = Counters()
        self.lines = Lines(
            asyncio.get_running_loop(),
            self.counters,
            Response,
            self.make_wire,
            timeout_seconds=100,
            idle_seconds=100,
            max_body_bytes=CAP,
        )
        self.home: dict[Line, None] = {}
        self.line = self.lines.make_line()
        self.pipe = Pipe(self.here)
        self.line.connection_made(self.pipe)

    def make_wire(self, transport: asyncio.Transport) -> Wire:
        wire = Wire(asyncio.get_running_loop(), self.counters)
        wire.connection_made(transport)
        wire.set_response_params(read_until_eof=True, max_line_size=16384, max_field_size=16384)
        return wire

    def ask(self, body: bytes = b"{}") -> asyncio.Future[Any]:
        waiter = self.line.ask(HEAD, body, self.home)
        self.lines.write_due()
        return waiter

    def hear(self, segments: Iterable[bytes]) -> None:
        for segment in segments:
            self.line.data_received(segment)

    async def read(self, waiter: asyncio.Future[Any]) -> tuple[int, bytes, list[tuple[str, str]]]:
        """Status, body and fields, whoever reads them."""
        response = await asyncio.wait_for(waiter, 5)
        if response is not None:
            return response.status, response.body, list(response.headers.items())
        try:
            return await read_wire(self.line.wire)
        finally:
            self.line.over()

    async def __aenter__(self) -> FedLine:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.lines.close()
        self.here.close()
        self.there.close()


async def read_wire(wire: Wire) -> tuple[int, bytes, list[tuple[str, str]]]:
    message, payload = await wire.read()
    while 100 <= message.code < 200:
        message, payload = await wire.read()
    body = b""
    while block := await payload.readany():
        body += block
    return message.code, body, list(message.headers.items())


def test_a_request_is_one_piece_and_says_its_length() -> None:
    async def main() -> None:
        async with FedLine() as it:
            it.ask(b"12345")
            assert it.there.recv(1000) == HEAD + b"5\r\n\r\n12345"

    asyncio.run(main())


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_usual_answer_needs_no_other_parser_however_its_body_comes(framing) -> None:
    body = b'{"a": "' + b"\r\n0\r\n\r\n" * 50 + b'"}'
    answer = framing(body)
    head = answer.index(b"\r\n\r\n") + 4

    async def main() -> None:
        for place in range(head, len(answer)):
            async with FedLine() as it:
                waiter = it.ask()
                it.hear([answer[:place], *(bytes([byte]) for byte in answer[place:])])
                assert waiter.result().body == body
                assert it.line in it.home
                assert it.line.is_clean()

    asyncio.run(main())


@settings(deadline=None)
@given(
    framing=st.sampled_from(FRAMINGS),
    before=st.sampled_from([b"", INFORMATION]),
    body=st.binary(max_size=60) | st.sampled_from([b"\n\n\r\n\r\n" * 9, counted(b"inner")]),
    surplus=st.sampled_from([b"", b"\n", b"\r\n", b"H", counted(b"stale")]) | st.binary(max_size=9),
    places=st.lists(st.integers(0, 2000), max_size=6),
)
def test_however_it_is_cut_an_answer_is_its_own_and_surplus_ends_the_connection(
    framing, before: bytes, body: bytes, surplus: bytes, places: list[int]
) -> None:
    async def main() -> None:
        async with FedLine() as it:
            waiter = it.ask()
            it.hear(cut(before + framing(body) + surplus, places))
            assert (await it.read(waiter))[1] == body
            assert it.pipe.aborted == bool(surplus)
            assert it.line.is_clean() == (not surplus)
            assert (it.line in it.home) == (not surplus)
            assert it.counters.soiled == bool(surplus)

    asyncio.run(main())


BASES = [
    counted(b"hello"),
    counted(b"hello", 503, "Retry-After: 3\r\nConnection: keep-alive\r\n"),
    chunked(b"hello, world", pieces=3),
    zipped(b"hello"),
    chunked_zipped(b"hello"),
]
BITS = [
    *(b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b";", b",", b"0", b"1", b"f", b"+", b"-", b"\0"),
    *(b"\r\n ", b"gzip", b"chunked", b"identity", b"\xff", b"HTTP/1.0", b"Upgrade: h2c\r\n"),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"),
]
BIT = st.sampled_from(BITS) | st.binary(max_size=2)


@settings(deadline=None)
@given(
    base=st.sampled_from(BASES),
    spoils=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), BIT), max_size=3),
)
@example(base=counted(b"hello"), spoils=[])
@example(base=counted(b"hello"), spoils=[(17, 0, b"Content-Length: 5\r\n")])
def test_what_the_plain_reader_reads_aiohttps_parser_reads_alike(
    base: bytes, spoils: list[tuple[int, int, bytes]]
) -> None:
    answer = base
    for place, cut_out, put_in in spoils:
        at = place % (len(answer) + 1)
        answer = answer[:at] + put_in + answer[at + cut_out :]

    async def main() -> None:
        async with FedLine() as it, FedLine() as other:
            waiter = it.ask()
            it.line.data_received(answer)
            if not waiter.done() or waiter.result() is None:
                return
            ours = await it.read(waiter)
            wire = other.make_wire(other.pipe)
            wire.data_received(answer)
            theirs = await asyncio.wait_for(read_wire(wire), 5)
            assert ours == theirs
            assert it.pipe.aborted == other.pipe.aborted

    asyncio.run(main())


UNUSUAL = {
    "half a head": counted(b"hello")[:20],
    "1.0": counted(b"hello").replace(b"1.1", b"1.0"),
    "information": INFORMATION,
    "a redirect": counted(b"", 307),
    "no content": b"HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n",
    "no length": b"HTTP/1.1 200 OK\r\n\r\nhello",
    "both framings": chunked(b"hello", headers="Content-Length: 5\r\n"),
    "chunked twice": chunked(b"hello", headers="Transfer-Encoding: chunked\r\n"),
    "two lengths": counted(b"hello", headers="Content-Length: 5\r\n"),
    "a length that is no number": counted(b"hello").replace(b"Length: 5", b"Length: 1+"),
    "no line break behind a chunk": chunked(b"hello", pieces=1).replace(b"o\r\n", b"o\0\1"),
    "a chunk's size of nine digits": chunked(b"hello", pieces=1).replace(b"5\r", b"000000005\r"),
    "a space before the colon": counted(b"hello", headers="A : b\r\n"),
    "a field without a name": counted(b"hello", headers=": b\r\n"),
    "closing": counted(b"hello", headers="Connection: close\r\n"),
    "an upgrade": counted(b"hello", headers="Upgrade: h2c\r\n"),
    "trailers": chunked(b"hello", headers="Trailer: X\r\n"),
    "a chunk without a size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n\r\n",
    "chunks with hardly any body": chunked(b"")[:-5] + b"00000001\r\nx\r\n" * (2 * CAP // 10),
    "a length beyond 64 bits": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nhello" % (2**64 + 5),
    "another encoding": counted(b"hello", headers="Content-Encoding: br\r\n"),
    "two encodings": counted(b"hello", headers="Content-Encoding: gzip\r\n" * 2),
    "an extension": chunked(b"hello").replace(b"\r\n0\r\n", b"\r\n0;x\r\n"),
    "above the cap": b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n",
    "in chunks, above the cap": chunked(b"x" * (CAP + 1)),
    "a bomb": zipped(bytes(CAP + 1)),
    "two members": counted(gzip.compress(b"a") * 2, headers="Content-Encoding: gzip\r\n"),
    "gzip that is cut": counted(
        gzip.compress(b"a" * 99)[:-9], headers="Content-Encoding: gzip\r\n"
    ),
    "not gzip": counted(b"hello", headers="Content-Encoding: gzip\r\n"),
    "folded": counted(b"hello", headers="A: b\r\n c\r\n"),
    "a line feed alone": counted(b"hello", headers="A: b\nC: d\r\n"),
    "a control character": counted(b"hello", headers="A: \1\r\n"),
    "many fields": counted(b"hello", headers="A: b\r\n" * 101),
}


@pytest.mark.parametrize("answer", UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_unusual_goes_to_the_other_parser_from_its_first_byte(answer: bytes) -> None:
    async def main() -> None:
        async with FedLine() as it:
            waiter = it.ask()
            it.line.data_received(answer)
            assert waiter.result() is None
            assert it.line.wire is not None
            it.line.over()

    asyncio.run(main())


@pytest.mark.parametrize("error", [None, ConnectionResetError(104, "reset")])
@pytest.mark.parametrize("part", [0, 60, -1])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_an_answer_that_is_not_whole_when_its_connection_ends_fails(framing, part, error) -> None:
    async def main() -> None:
        async with FedLine() as it:
            waiter = it.ask()
            if part:
                it.line.data_received(framing(b'{"a": 1}' * 9)[:part])
            it.line.connection_lost(error)
            with pytest.raises((ClientError, HttpProcessingError)):
                await it.read(waiter)
            assert it.line.answering == bool(part)
            assert not it.line.is_clean()
            assert len(it.lines) == 0

    asyncio.run(main())


def test_a_line_that_ended_before_it_was_asked_says_so_and_sends_nothing() -> None:
    async def main() -> None:
        async with FedLine() as it:
            it.pipe.aborted = True
            with pytest.raises(ClientConnectionResetError):
                it.ask()
            assert it.line.sent_ns == 0
            it.there.setblocking(False)
            with pytest.raises(BlockingIOError):
                it.there.recv(1)

    asyncio.run(main())


def test_a_line_is_taken_last_in_first_out_and_only_if_it_is_open() -> None:
    async def main() -> None:
        async with FedLine() as it:
            other, third = FedLine(), FedLine()
            for one in (it, other, third):
                one.line.give_back(it.home)
            other.pipe.abort()
            assert it.lines.take(it.home) is third.line
            assert it.lines.take(it.home) is it.line
            assert it.home == {}
            assert it.lines.take(it.home) is None
            for one in (other, third):
                await one.__aexit__()

    asyncio.run(main())


def test_a_line_that_ends_while_it_is_idle_is_kept_no_longer() -> None:
    async def main() -> None:
        async with FedLine() as it:
            it.line.give_back(it.home)
            it.line.connection_lost(None)
            assert it.home == {}
            assert len(it.lines) == 0

    asyncio.run(main())


def test_requests_of_one_turn_are_written_at_its_end_or_by_the_burst() -> None:
    async def main() -> None:
        several = [FedLine() for _ in range(BURST + 1)]
        for one in several:
            one.line = several[0].lines.make_line()
            one.line.connection_made(one.pipe)
            one.there.setblocking(False)
        for one in several:
            assert one.line.ask(HEAD, b"{}", one.home)
            assert one.line.sent_ns == 0 or one is several[BURST - 1]
        for one in several[:BURST]:
            assert one.there.recv(1000) == HEAD + b"2\r\n\r\n{}"
        with pytest.raises(BlockingIOError):
            several[BURST].there.recv(1)
        await asyncio.sleep(0)
        assert several[BURST].there.recv(1000)
        assert all(one.line.sent_ns for one in several)
        for one in several:
            await one.__aexit__()

    asyncio.run(main())


@pytest.mark.parametrize("seen", [True, False])
def test_what_comes_before_a_request_is_written_is_nobodys_answer(seen: bool) -> None:
    """Whether the event loop has read it or it waits in the socket."""

    async def main() -> None:
        async with FedLine() as it:
            waiter = it.line.ask(HEAD, b"{}", it.home)
            if seen:
                it.line.data_received(counted(b"hello"))
            else:
                it.there.send(counted(b"hello"))
            it.lines.write_due()
            assert it.pipe.aborted
            assert not waiter.done()
            it.line.connection_lost(None)
            with pytest.raises(ServerDisconnectedError):
                waiter.result()
            assert (it.line.sent_ns, it.line.answering) == (0, False)

    asyncio.run(main())


def test_a_request_that_is_never_written_is_not_sent_though_the_one_before_it_was() -> None:
    async def main() -> None:
        async with FedLine() as it:
            first = it.ask()
            it.hear([counted(b"1")])
            await it.read(first)
            assert it.line.sent_ns > 0
            assert it.lines.take(it.home) is it.line
            waiter = it.line.ask(HEAD, b"{}", it.home)
            it.line.connection_lost(None)
            with pytest.raises(ServerDisconnectedError):
                waiter.result()
            assert it.line.sent_ns == 0

    asyncio.run(main())


def test_a_line_of_which_nothing_is_read_any_more_is_not_kept() -> None:
    """All of an answer came, too large to be read: the loop was told to pause, and by nobody to go
    on."""

    async def main() -> None:
        async with FedLine() as it:
            waiter = it.ask()
            it.hear([counted(b"x" * 10 * CAP)])
            assert await waiter is None
            await it.line.wire.read()
            it.line.over()
            assert it.pipe.aborted
            assert it.home == {}

    asyncio.run(main())


def test_a_connection_that_is_made_when_all_were_closed_is_closed() -> None:
    async def main() -> None:
        async with FedLine() as other, FedLine() as it:
            it.lines.close()
            late, pipe = it.lines.make_line(), Pipe(other.here)
            late.connection_made(pipe)
            assert pipe.aborted

    asyncio.run(main())


def test_a_request_that_is_cancelled_before_it_is_written_leaves_its_connection() -> None:
    async def main() -> None:
        async with FedLine() as it:
            waiter = it.line.ask(HEAD, b"{}", it.home)
            waiter.cancel()
            it.lines.write_due()
            it.line.drop(waiter)
            assert not it.pipe.aborted
            assert it.lines.take(it.home) is it.line
            it.ask(b"next")
            assert it.there.recv(1000) == HEAD + b"4\r\n\r\nnext"

    asyncio.run(main())


def test_a_connection_that_can_not_be_written_to_fails_alone() -> None:
    async def main() -> None:
        async with FedLine() as other, FedLine() as it:
            other.here.setblocking(False)
            with pytest.raises(BlockingIOError):
                while True:
                    other.here.send(bytes(1 << 20))
            broken = it.lines.make_line()
            broken.connection_made(Broken(other.here))
            failing, going = broken.ask(HEAD, b"{}", {}), it.line.ask(HEAD, b"{}", it.home)
            it.lines.write_due()
            with pytest.raises(OSError, match="broken"):
                failing.result()
            assert not going.done()
            assert it.there.recv(1000)

    asyncio.run(main())


class Broken(Pipe):
    """A transport that fails as it is given what its socket does not take."""

    def writelines(self, data: object) -> None:
        raise OSError("broken")


class Keeping(Pipe):
    """A transport that keeps what its socket does not take."""

    kept = b""

    def write(self, data: Any) -> None:
        self.kept += bytes(data)

    def writelines(self, data: Iterable[Any]) -> None:
        self.kept += b"".join(map(bytes, data))


def test_what_the_socket_does_not_take_goes_on_where_that_ended() -> None:
    async def main() -> None:
        async with FedLine() as it:
            it.there.setblocking(False)
            line, pipe = it.lines.make_line(), Keeping(it.here)
            line.connection_made(pipe)
            body = bytes(range(251)) * 20_000
            line.ask(HEAD, body, {})
            it.lines.write_due()
            taken = b""
            with pytest.raises(BlockingIOError):
                while True:
                    taken += it.there.recv(1 << 20)
            assert taken and pipe.kept
            assert taken + pipe.kept == HEAD + b"%d\r\n\r\n" % len(body) + body

    asyncio.run(main())


def test_an_answer_to_a_cancelled_request_is_nobodys() -> None:
    async def main() -> None:
        async with FedLine() as it:
            waiter = it.ask()
            waiter.cancel()
            it.line.data_received(counted(b"hello"))
            assert it.home == {}
            assert it.pipe.aborted

    asyncio.run(main())


def test_an_unusual_answer_to_a_cancelled_request_is_read_by_nobody() -> None:
    async def main() -> None:
        async with FedLine() as it:
            waiter = it.ask()
            waiter.cancel()
            it.line.data_received(UNUSUAL["trailers"])
            assert it.line.wire is not None
            it.line.drop(waiter)
            assert it.pipe.aborted

    asyncio.run(main())


def test_a_late_farewell_to_an_answered_request_does_not_touch_the_next() -> None:
    async def main() -> None:
        async with FedLine() as it:
            first = it.ask()
            it.line.data_received(counted(b"hello"))
            assert it.lines.take(it.home) is it.line
            second = it.ask()
            it.line.drop(first)
            assert not it.pipe.aborted
            it.line.drop(second)
            assert it.pipe.aborted

    asyncio.run(main())


def test_headers_are_found_in_any_case_and_the_first_of_a_name_counts() -> None:
    headers = Headers(
        b"HTTP/1.1 200 OK\r\nX-A:  one \r\nx-a: two\r\nX-B:\r\nX-Ab: \xc3\xa9\xff\r\n\r\n"
    )
    assert (headers["x-a"], headers["X-A"], headers["x-b"]) == ("one", "one", "")
    assert headers["x-ab"] == "é\udcff"
    assert headers.getall("X-a") == ["one", "two"]
    assert headers.get("x") is None
    assert "X-B" in headers and "HTTP/1.1 200 OK\r\nX-A" not in headers
    assert (list(headers), len(headers)) == (["X-A", "x-a", "X-B", "X-Ab"], 4)
    for absent in ("", "x-abc", "\r\n\r\n", "é", "x-b:"):
        with pytest.raises(KeyError):
            headers[absent]
