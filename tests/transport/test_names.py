"""Finding the server, trusting it, and going to it through a proxy."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import threading

import aiohttp
import pytest

from penstock.errors import JobError
from penstock.transport.transport import Request, Response
from transport.conftest import Run
from transport.raw import Peer, RawServer, certificates, counted, echo


def test_a_name_that_does_not_resolve_is_a_failure_until_it_does(
    run: Run, client, monkeypatch
) -> None:
    resolve = aiohttp.ThreadedResolver.resolve
    answers = iter([socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")] * 2)

    async def flaky(self, *args, **kwargs):
        for error in answers:
            raise error
        return await resolve(self, *args, **kwargs)

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", flaky)

    async def main() -> None:
        async with RawServer(echo) as server, client() as it:
            for _ in range(2):
                failure = await it.failure(server)
                assert (failure.kind, failure.sent_ns > 0) == ("dns", False)
                assert "Temporary failure in name resolution" in failure.detail
            await it.answer(server)

    run(main)


def test_a_refused_connection_is_a_failure(run: Run, client) -> None:
    async def main() -> None:
        async with client() as it:
            async with RawServer(echo) as server:
                pass
            failure = await it.failure(server)
            assert (failure.kind, failure.sent_ns) == ("connect", 0)
            assert failure.detail == f"can't connect to localhost:{server.port}: Connection refused"

    run(main)


def test_tls_works_with_the_authority_that_is_named(run: Run, client, authority: str) -> None:
    async def main() -> None:
        async with RawServer(echo, "localhost") as server, client(ca_file=authority) as it:
            for body in (b"1", b"2" * 1_000_000, b"3"):
                assert (await it.answer(server, body)).body == body
            assert len(server.peers) == 1

    run(main)


def test_the_tickets_of_a_new_tls_connection_are_not_taken_for_an_answer(
    run: Run, client, authority: str
) -> None:
    handshaken = threading.Event()

    def serve(listener: socket.socket) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificates() / "localhost.pem")
        accepted, _ = listener.accept()
        with context.wrap_socket(accepted, server_side=True) as peer:
            handshaken.set()
            peer.recv(65_536)
            peer.sendall(counted(b"{}"))
            peer.recv(1)

    async def main() -> None:
        async def ready() -> None:
            await asyncio.sleep(0)  # uvloop sends its end of the handshake when a turn is over
            assert handshaken.wait(10)  # without a turn, so that the tickets stay in the socket

        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"https://localhost:{listener.getsockname()[1]}/"
            serving = asyncio.create_task(asyncio.to_thread(serve, listener))
            async with client(ca_file=authority) as it:
                answer = await it.transport.send(Request(url, {}, b"{}"), ready)
                assert isinstance(answer, Response)
            await serving

    run(main)


def test_a_server_that_nobody_vouches_for_is_not_trusted(run: Run, client) -> None:
    async def main() -> None:
        async with RawServer(echo, "localhost") as server, client() as it:
            failure = await it.failure(server)
            assert (failure.kind, failure.sent_ns > 0) == ("tls", False)
            assert "certificate" in failure.detail

    run(main)


def test_a_server_of_another_name_is_not_trusted(run: Run, client, authority: str) -> None:
    async def main() -> None:
        async with RawServer(echo, "elsewhere.test") as server, client(ca_file=authority) as it:
            failure = await it.failure(server)
            assert (failure.kind, failure.sent_ns > 0) == ("tls", False)
            assert "localhost" in failure.detail

    run(main)


def test_a_server_that_does_not_speak_tls_is_a_tls_failure(run: Run, client) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            await peer.reader.read(1)
            peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with RawServer(serve) as server, client() as it:
            server.url = server.url.replace("http:", "https:")
            assert (await it.failure(server)).kind == "tls"

    run(main)


@pytest.mark.parametrize(
    "said", [b"", b"\x15\x03\x03\x00\x02\x02\x50"], ids=["end", "internal error"]
)
def test_a_handshake_that_is_broken_off_is_a_failure_to_connect(
    run: Run, client, said: bytes
) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            await peer.reader.read(1)
            peer.say(said)

        async with RawServer(serve) as server, client() as it:
            server.url = server.url.replace("http:", "https:")
            failure = await it.failure(server)
            assert (failure.kind, failure.sent_ns > 0) == ("connect", False)

    run(main)


def test_a_plain_request_goes_through_the_proxy(run: Run, proxy_client) -> None:
    async def main() -> None:
        async with RawServer(echo) as proxy:
            async with proxy_client(proxy=f"http://me:pass@127.0.0.1:{proxy.port}") as it:
                for _ in range(2):
                    answer = await it.transport.send(
                        Request("http://far.test/v1/x?y=1", {"Authorization": "k"}, b"{}")
                    )
                    assert isinstance(answer, Response)
            assert len(proxy.peers) == 1
            head = proxy.peers[0].heads[0]
            assert head.startswith(b"POST http://far.test/v1/x?y=1 HTTP/1.1\r\nHost: far.test\r\n")
            credentials = base64.b64encode(b"me:pass")
            assert b"Proxy-Authorization: Basic " + credentials in head
            assert b"\r\nAuthorization: k\r\n" in head

    run(main)


async def tunnel(peer: Peer) -> None:
    """A proxy that connects to localhost, whatever it is asked for."""
    await peer.request()
    port = int(peer.heads[0].split()[1].rpartition(b":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    peer.say(b"HTTP/1.1 200 Connected\r\n\r\n")
    there = asyncio.create_task(pump(peer.reader, writer))
    await pump(reader, peer.writer)
    await there


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
    writer.close()


def test_a_tls_request_goes_through_a_tunnel(run: Run, proxy_client, authority: str) -> None:
    async def main() -> None:
        async with RawServer(echo, "localhost") as server, RawServer(tunnel) as proxy:
            address = f"http://127.0.0.1:{proxy.port}"
            async with proxy_client(ca_file=authority, proxy=address) as it:
                for body in (b"1", b"2"):
                    assert (await it.answer(server, body)).body == body
                assert len(proxy.peers) == len(server.peers) == 1
                assert b"canary" not in proxy.peers[0].heads[0]

    run(main)


@pytest.mark.parametrize("said", [counted(b"who are you?", 407), b"", b"SSH-2.0\r\n\r\n"])
def test_a_proxy_that_gives_no_tunnel_is_a_failure_before_anything_was_sent(
    run: Run, proxy_client, said: bytes
) -> None:
    async def main() -> None:
        async def refuse(peer: Peer) -> None:
            await peer.request()
            peer.say(said)

        async with RawServer(refuse) as proxy:
            async with proxy_client(proxy=f"http://127.0.0.1:{proxy.port}") as it:
                failure = await it.transport.send(Request("https://far.test/", {}, b"{}"))
                assert failure.kind in ("connect", "malformed")
                assert failure.sent_ns == 0

    run(main)


def test_a_proxy_that_is_not_there_is_a_failure(run: Run, proxy_client) -> None:
    async def main() -> None:
        async with RawServer(echo) as server:
            pass
        async with proxy_client(proxy=f"http://127.0.0.1:{server.port}") as it:
            failure = await it.transport.send(Request("http://far.test/", {}, b"{}"))
            assert failure.kind == "connect"
            assert "proxy" in failure.detail

    run(main)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "127.0.0.1:3128", "http://", "http://["])
def test_a_proxy_that_can_not_work_is_refused_at_once(run: Run, proxy_client, proxy: str) -> None:
    async def main() -> None:
        with pytest.raises(JobError, match="--proxy"):
            proxy_client(proxy=proxy)

    run(main)


def test_a_file_without_certificates_is_refused_at_once(run: Run, client, tmp_path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")

    async def main() -> None:
        with pytest.raises(JobError, match="PEM"):
            client(ca_file=str(tmp_path / "ca.pem"))
        with pytest.raises(JobError, match="No such file"):
            client(ca_file=str(tmp_path / "none.pem"))

    run(main)
