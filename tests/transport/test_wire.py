"""The protocol of one connection, fed by hand."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterable

import pytest
from aiohttp import ClientError
from hypothesis import given
from hypothesis import strategies as st

from penstock.transport.transport import Counters
from penstock.transport.wire import Wire, end_of_empty_line
from transport.raw import chunked, chunked_zipped, counted, until_end, zipped

FRAMINGS = [counted, chunked, zipped, chunked_zipped]
INFORMATION = b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"


class Pipe(asyncio.Transport):
    """The transport below a wire, which goes nowhere."""

    def __init__(self, here: socket.socket) -> None:
        super().__init__({"socket": here})
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Line:
    """A wire that a request was written to."""

    def __init__(self) -> None:
        self.here, self.there = socket.socketpair()
        self.counters = Counters()
        self.wire = Wire(asyncio.get_running_loop(), self.counters)
        self.pipe = Pipe(self.here)
        self.wire.connection_made(self.pipe)
        self.wire.set_response_params(read_until_eof=True)

    async def __aenter__(self) -> Line:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.here.close()
        self.there.close()

    def hear(self, segments: Iterable[bytes]) -> None:
        for segment in segments:
            self.wire.data_received(segment)

    async def body(self) -> bytes:
        message, payload = await self.wire.read()
        while message.code < 200:
            message, payload = await self.wire.read()
        read = b""
        while block := await payload.readany():
            read += block
        return read


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[a:b] for a, b in zip([0, *ends], ends, strict=False) if a < b]


@given(
    framing=st.sampled_from(FRAMINGS),
    before=st.sampled_from([b"", INFORMATION, INFORMATION * 3]),
    body=st.binary(max_size=60) | st.sampled_from([b"\n\n\r\n\r\n" * 9, counted(b"inner")]),
    surplus=st.sampled_from([b"", b"\n", b"\r\n", b"H", counted(b"stale")]) | st.binary(max_size=9),
    places=st.lists(st.integers(0, 2000), max_size=12),
)
def test_however_it_is_cut_an_answer_is_its_own_and_surplus_ends_the_connection(
    framing, before: bytes, body: bytes, surplus: bytes, places: list[int]
) -> None:
    async def main() -> None:
        async with Line() as line:
            line.hear(cut(before + framing(body) + surplus, places))
            assert await line.body() == body
            assert line.pipe.aborted == bool(surplus)
            assert line.wire.is_clean() == (not surplus)
            assert line.counters.soiled == bool(surplus)

    asyncio.run(main())


@pytest.mark.parametrize("framing", FRAMINGS)
def test_an_answer_may_come_byte_by_byte(framing) -> None:
    async def main() -> None:
        async with Line() as line:
            line.hear(bytes([byte]) for byte in framing(b'{"a": 1}'))
            assert await line.body() == b'{"a": 1}'
            assert line.wire.is_clean()

    asyncio.run(main())


@pytest.mark.parametrize("framing", [*FRAMINGS, until_end])
def test_an_answer_that_is_whole_when_its_connection_ends_stands(framing) -> None:
    async def main() -> None:
        async with Line() as line:
            line.hear([framing(b'{"a": 1}')])
            line.wire.connection_lost(None)
            assert await line.body() == b'{"a": 1}'
            assert not line.wire.is_clean()

    asyncio.run(main())


@pytest.mark.parametrize("framing", FRAMINGS)
def test_an_answer_that_is_whole_when_its_connection_is_reset_stands(framing) -> None:
    async def main() -> None:
        async with Line() as line:
            line.hear([framing(b'{"a": 1}')])
            line.wire.connection_lost(ConnectionResetError())
            assert await line.body() == b'{"a": 1}'

    asyncio.run(main())


def test_an_answer_that_is_not_whole_when_its_connection_is_reset_fails() -> None:
    async def main() -> None:
        async with Line() as line:
            line.hear([until_end(b'{"a": 1}')])
            line.wire.connection_lost(ConnectionResetError())
            with pytest.raises(ClientError):
                await line.body()

    asyncio.run(main())


def test_closing_does_not_wait_for_the_peer() -> None:
    async def main() -> None:
        async with Line() as line:
            line.wire.close()
            assert line.pipe.aborted

    asyncio.run(main())


def test_a_wire_is_clean_only_between_requests() -> None:
    async def main() -> None:
        async with Line() as line:
            assert not line.wire.is_clean()
            line.hear([counted(b"{}")])
            assert not line.wire.is_clean()
            await line.body()
            assert line.wire.is_clean()
            line.wire.set_response_params(read_until_eof=True)
            assert not line.wire.is_clean()
            assert line.wire.requests == 2
            assert not line.wire.answering

    asyncio.run(main())


@pytest.mark.parametrize("event", ["bytes", "end"])
def test_what_waits_in_the_socket_makes_a_wire_unclean(event: str) -> None:
    async def main() -> None:
        async with Line() as line:
            line.hear([counted(b"{}")])
            await line.body()
            if event == "bytes":
                line.there.send(b"H")
            else:
                line.there.shutdown(socket.SHUT_WR)
            assert not line.wire.is_clean()

    asyncio.run(main())


@given(
    data=st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"x", b"0"])).map(b"".join),
    start=st.integers(0, 20),
)
def test_an_empty_line_ends_where_a_pattern_says(data: bytes, start: int) -> None:
    start = min(start, len(data))
    found = re.compile(rb"\A\r?\n|\n\r?\n").search(data[start:])
    assert end_of_empty_line(data, start) == (start + found.end() if found else len(data))
