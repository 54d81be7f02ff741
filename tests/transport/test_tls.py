"""What goes wrong with TLS: a server that is not to be trusted, and bytes that are not TLS's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from penstock.transport.failure import Failure
from penstock.transport.transport import Response
from transport.conftest import Run
from transport.raw import Peer, RawServer, counted, echo

BODY = b'{"a": "body of an answer"}'
SPAN = 2500  # more bytes than a server sends for a handshake and a short answer

Spoil = Callable[[bytes, int], bytes]  # what came, and where in it to spoil it


@pytest.mark.parametrize(
    ("certificate", "word"),
    [("expired", "expired"), ("itself", "self-signed"), ("elsewhere.test", "localhost")],
)
def test_a_certificate_that_is_not_valid_is_a_tls_failure_and_nothing_is_sent(
    run: Run, client, authority: str, certificate: str, word: str
) -> None:
    async def main() -> None:
        async with RawServer(echo, certificate) as server, client(ca_file=authority) as it:
            failure = await it.failure(server)
            assert (failure.kind, failure.sent_ns) == ("tls", 0)
            assert word in failure.detail.replace("self signed", "self-signed")
            assert not any(peer.heads for peer in server.peers)

    run(main)


GARBAGE = {
    "zeros": bytes(4096),
    "a record that is cut": b"\x16\x03\x03\x40\x00\x02\x00",
    "a record that is too long": b"\x16\x03\x03\xff\xff" + b"x" * 70_000,
    "a message of no kind": b"\x16\x03\x03\x00\x04\xee\x00\x00\x00",
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "data before a handshake": b"\x17\x03\x03\x00\x05hello",
    "nothing": b"",
}


@pytest.mark.parametrize("said", GARBAGE.values(), ids=GARBAGE)
def test_garbage_for_a_handshake_is_a_failure_and_nothing_is_sent(
    run: Run, client, said: bytes
) -> None:
    """Other bytes than TLS's are `tls`, which stops a run; TLS that went wrong may pass."""

    async def main() -> None:
        async def serve(peer: Peer) -> None:
            await peer.reader.read(1)
            peer.say(said)

        async with RawServer(serve) as server, client(connect_timeout_seconds=5) as it:
            server.url = server.url.replace("http:", "https:")
            failure = await it.failure(server)
            expected = "tls" if said[:1] == b"\0" else "connect"
            assert (failure.kind, failure.sent_ns) == (expected, 0)

    run(main)


def between(server: RawServer, place: int, spoil: Spoil):
    """What serves in front of an encrypted server, and spoils what that says from some byte on."""

    async def serve(peer: Peer) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        there = asyncio.ensure_future(pump(peer.reader, writer))
        try:
            begin = 0
            while data := await reader.read(1 << 16):
                spoiled = data if begin + len(data) <= place else spoil(data, place - begin)
                peer.say(spoiled)
                begin += len(data)
                if len(spoiled) < len(data):
                    break
            await peer.close()
        finally:
            there.cancel()
            writer.transport.abort()

    return serve


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)


def cut(data: bytes, at: int) -> bytes:
    return data[: max(0, at)]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if at >= 0 else data


@pytest.mark.parametrize("spoil", [cut, flipped])
def test_wherever_an_encrypted_answer_is_cut_or_flipped_all_or_nothing_is_read(
    run: Run, client, authority: str, spoil: Spoil
) -> None:
    """In the handshake: not sent; behind it: disconnected. A flip never gets through."""

    async def main() -> None:
        async def answer(peer: Peer) -> None:
            while True:
                await peer.request()
                peer.say(counted(BODY))

        kinds = set()
        async with RawServer(answer, "localhost") as server, client(ca_file=authority) as it:
            for place in range(0, SPAN, 61):
                async with RawServer(between(server, place, spoil)) as front:
                    front.url = front.url.replace("http:", "https:")
                    outcome = await it.ask(front)
                    if isinstance(outcome, Response):
                        assert outcome.body == BODY
                        kinds.add("whole")
                    else:
                        assert isinstance(outcome, Failure)
                        assert outcome.kind != "malformed"
                        assert (outcome.sent_ns > 0) == (outcome.kind == "disconnected"), place
                        kinds.add(outcome.kind)
        assert {"connect", "disconnected", "whole"} <= kinds

    run(main)
