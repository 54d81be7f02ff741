"""The direct transport's protocol of one connection over TLS, fed by hand.

The server's end is Python's `ssl` in memory: a test decides which bytes come when, and whether the
event loop has read them or they wait in the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import ssl
from functools import cache
from typing import Any

import pytest
from aiohttp import ClientError, ServerDisconnectedError
from hypothesis import given, settings
from hypothesis import strategies as st

from transport.raw import certificates, counted, until_end
from transport.test_line import FRAMINGS, HEAD, FedLine, cut
from transport.test_wire import INFORMATION

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def test_python_s_ssl_reads_and_writes_by_the_object_within_and_does_nothing_beside() -> None:
    """Which is therefore spoken to directly; an upgrade that changes it has to fail here."""
    assert "v = self._sslobj.read(len, buffer)" in inspect.getsource(ssl.SSLObject.read)
    assert "return self._sslobj.write(data)" in inspect.getsource(ssl.SSLObject.write)
    context = ssl.create_default_context()
    within: Any = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a.example")
    assert callable(within._sslobj.read) and callable(within._sslobj.write)


@cache
def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates() / "authority.pem"))


@cache
def serving(certificate: str, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates() / f"{certificate}.pem")
    context.maximum_version = version
    return context


class SecretLine(FedLine):
    """A line over TLS, and the server's end of that."""

    def __init__(
        self, certificate: str = "localhost", version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ) -> None:
        super().__init__()
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = serving(certificate, version)
        self.server = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.there.setblocking(False)

    def listen(self) -> None:
        """Give the server all that came to its socket."""
        try:
            while data := self.there.recv(1 << 16):
                self.incoming.write(data)
        except BlockingIOError:
            pass

    def said(self, *pieces: bytes) -> bytes:
        """What goes over the wire where the server says these, each in a record of its own."""
        for piece in pieces:
            self.server.write(piece)
        return self.outgoing.read()

    def shake(self, places: tuple[int, ...] = ()) -> asyncio.Future[None]:
        """The handshake; what the server sends at its end, like tickets, stays in `outgoing`."""
        handshake = self.line.start_tls(trusting(), "localhost")
        while not handshake.done():
            self.listen()
            with contextlib.suppress(ssl.SSLWantReadError):
                self.server.do_handshake()
            self.hear(cut(self.outgoing.read(), list(places)))
        if handshake.exception() is None:
            self.listen()
            self.server.do_handshake()
        return handshake

    def take_tickets(self) -> None:
        self.hear([self.outgoing.read()])

    def asked(self) -> bytes:
        self.listen()
        return self.server.read(1 << 20)


async def open_line(**options: Any) -> SecretLine:
    it = SecretLine(**options)
    await it.shake()
    it.take_tickets()
    return it


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_request_is_one_record_in_one_piece(version: ssl.TLSVersion) -> None:
    async def main() -> None:
        async with await open_line(version=version) as it:
            it.ask(b"12345")
            sent = it.there.recv(1000)
            assert len(sent) == 5 + int.from_bytes(sent[3:5], "big")
            it.incoming.write(sent)
            assert it.server.read(1000) == HEAD + b"5\r\n\r\n12345"

    asyncio.run(main())


def test_a_request_of_many_records_is_whole() -> None:
    async def main() -> None:
        async with await open_line() as it:
            body = bytes(range(256)) * 200
            it.ask(body)
            it.listen()
            heard = b""
            while len(heard) < len(HEAD) + 9 + len(body):
                heard += it.server.read(1 << 20)
            assert heard == HEAD + b"51200\r\n\r\n" + body

    asyncio.run(main())


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@settings(deadline=None, max_examples=40)
@given(
    framing=st.sampled_from(FRAMINGS),
    before=st.sampled_from([b"", INFORMATION]),
    body=st.binary(max_size=60),
    surplus=st.sampled_from([b"", b"\n", b"H", counted(b"stale")]),
    places=st.lists(st.integers(0, 3000), max_size=6),
    records=st.lists(st.integers(0, 700), max_size=4),
)
def test_however_it_is_cut_an_encrypted_answer_is_its_own_and_surplus_ends_the_connection(
    version, framing, before, body, surplus, places, records
) -> None:
    async def main() -> None:
        async with SecretLine(version=version) as it:
            await it.shake(tuple(places))
            it.take_tickets()
            waiter = it.ask()
            pieces = [piece for piece in cut(before + framing(body) + surplus, records) if piece]
            it.hear(cut(it.said(*pieces), places))
            assert (await it.read(waiter))[1] == body
            assert it.pipe.aborted == bool(surplus)
            assert it.line.is_clean() == (not surplus)
            assert (it.line in it.home) == (not surplus)
            assert it.counters.soiled == bool(surplus)

    asyncio.run(main())


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("reused", [True, False])
def test_tickets_are_nobodys_answer_and_leave_the_connection_clean(seen, reused) -> None:
    async def main() -> None:
        async with SecretLine() as it:
            await it.shake()
            tickets = it.outgoing.read()
            assert tickets
            if reused:
                waiter = it.ask()
                it.hear([tickets + it.said(counted(b"1"))])
                assert waiter.result().body == b"1"
                assert it.lines.take(it.home) is it.line
            elif seen:
                it.hear([tickets])
            else:
                it.there.send(tickets)
            assert it.line.is_clean()
            waiter = it.ask()
            it.hear([it.said(counted(b"2"))])
            assert waiter.result().body == b"2"
            assert it.counters.soiled == 0

    asyncio.run(main())


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("part", [1, 4, 5, 30, None])
@pytest.mark.parametrize("new", [True, False])
def test_a_record_that_nobody_asked_for_ends_the_connection_also_where_it_is_cut(
    seen: bool, part: int | None, new: bool
) -> None:
    """Half of it says nothing yet; the other half would be taken for the next answer."""

    async def main() -> None:
        async with await open_line() as it:
            if not new:
                it.ask()
                it.hear([it.said(counted(b"1"))])
                assert it.lines.take(it.home) is it.line
            stale = it.said(counted(b"stale"))[:part]
            it.hear([stale]) if seen else it.there.send(stale)
            assert not it.line.is_clean()

    asyncio.run(main())


@pytest.mark.parametrize("seen", [True, False])
def test_what_comes_before_an_encrypted_request_is_written_is_nobodys_answer(seen: bool) -> None:
    async def main() -> None:
        async with await open_line() as it:
            waiter = it.line.ask(HEAD, b"{}", it.home)
            stale = it.said(counted(b"stale"))
            it.hear([stale]) if seen else it.there.send(stale)
            it.lines.write_due()
            assert it.pipe.aborted
            assert not waiter.done()
            it.line.connection_lost(None)
            with pytest.raises(ServerDisconnectedError):
                waiter.result()
            assert (it.line.sent_ns, it.line.answering) == (0, False)

    asyncio.run(main())


def test_a_farewell_ends_an_idle_connection() -> None:
    async def main() -> None:
        async with await open_line() as it:
            it.line.give_back(it.home)
            with pytest.raises(ssl.SSLWantReadError):
                it.server.unwrap()
            it.hear([it.outgoing.read()])
            assert it.pipe.aborted
            assert it.home == {}
            assert it.lines.take(it.home) is None

    asyncio.run(main())


@pytest.mark.parametrize("farewell", [True, False])
def test_a_body_that_lasts_until_the_end_is_whole_only_behind_a_farewell(farewell: bool) -> None:
    """Without one it may be anybody who ended the connection."""

    async def main() -> None:
        async with await open_line() as it:
            waiter = it.ask()
            it.hear([it.said(until_end(b"hello"))])
            if farewell:
                with pytest.raises(ssl.SSLWantReadError):
                    it.server.unwrap()
                it.hear([it.outgoing.read()])
                assert it.pipe.aborted
            else:
                it.line.eof_received()
            it.line.connection_lost(None)
            if farewell:
                assert (await it.read(waiter))[1] == b"hello"
            else:
                with pytest.raises(ClientError):
                    await it.read(waiter)

    asyncio.run(main())


@pytest.mark.parametrize("part", [0, 3, 40, -1])
def test_an_encrypted_answer_that_is_cut_is_none(part: int) -> None:
    async def main() -> None:
        async with await open_line() as it:
            waiter = it.ask()
            it.hear([it.said(counted(b"hello"))[:part]])
            it.line.eof_received()
            it.line.connection_lost(None)
            with pytest.raises(ClientError):
                waiter.result()
            assert not it.line.answering

    asyncio.run(main())


@pytest.mark.parametrize("asked", [True, False])
def test_bytes_that_are_not_tls_end_the_connection(asked: bool) -> None:
    async def main() -> None:
        async with await open_line() as it:
            waiter = it.ask() if asked else None
            it.hear([b"HTTP/1.1 200 OK\r\n\r\n"])
            assert it.pipe.aborted
            it.line.connection_lost(None)
            if waiter is not None:
                with pytest.raises(ClientError):
                    waiter.result()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("certificate", "word"), [("elsewhere.test", "localhost"), ("expired", "expired")]
)
def test_a_certificate_that_does_not_hold_fails_the_handshake_and_the_server_is_told(
    certificate: str, word: str
) -> None:
    async def main() -> None:
        async with SecretLine(certificate) as it:
            handshake = it.shake()
            with pytest.raises(ssl.SSLCertVerificationError, match=word):
                handshake.result()
            assert it.pipe.aborted
            it.listen()
            with pytest.raises(ssl.SSLError, match="ALERT"):
                it.server.read(1)

    asyncio.run(main())


@pytest.mark.parametrize("error", [None, ConnectionResetError(104, "reset")])
def test_a_connection_that_ends_within_its_handshake_fails_it(error) -> None:
    async def main() -> None:
        async with SecretLine() as it:
            handshake = it.line.start_tls(trusting(), "localhost")
            it.line.connection_lost(error)
            with pytest.raises(OSError):
                handshake.result()

        async with SecretLine() as it:
            it.line.connection_lost(None)
            with pytest.raises(OSError):
                it.line.start_tls(trusting(), "localhost").result()

    asyncio.run(main())


class Renegotiating:
    """A TLS of which the peer wants another handshake before anything is said."""

    def wrap_bio(self, *_: object, **__: object) -> Renegotiating:
        return self

    @property
    def _sslobj(self) -> Renegotiating:
        return self

    def do_handshake(self) -> None:
        pass

    def write(self, _: bytes) -> int:
        raise ssl.SSLWantReadError


def test_a_request_that_can_not_be_encrypted_now_was_not_sent() -> None:
    async def main() -> None:
        async with FedLine() as it:
            it.line.start_tls(Renegotiating(), "localhost").result()
            waiter = it.ask()
            with pytest.raises(ServerDisconnectedError):
                waiter.result()
            assert it.line.sent_ns == 0
            assert it.pipe.aborted

    asyncio.run(main())
