"""What counts as an answer, how much of it, and what is a failure instead."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib

import pytest

from penstock.transport.transport import Request, Response
from transport.conftest import Run
from transport.raw import Peer, RawServer, chunked, counted, echo, until_end, zipped

CAP = 1 << 20


def saying(data: bytes, then: str = "linger"):
    """A server that answers every request with these bytes, and then lingers or closes."""

    async def serve(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.say(data)
            if then == "close":
                return

    return serve


def test_a_request_goes_out_as_it_was_made(run: Run, client) -> None:
    async def main() -> None:
        async with RawServer(echo) as server, client() as it:
            url = f"http://127.0.0.1:{server.port}/v1/x%2Fy?api-version=2"
            headers = {"Authorization": "Bearer k", "content-type": "text/plain", "X-A": "é"}
            answer = await it.transport.send(Request(url, headers, b'{"a": 1}'))
            assert isinstance(answer, Response)
            assert answer.body == b'{"a": 1}'
            first, *rest = server.peers[0].heads[0].decode().removesuffix("\r\n\r\n").split("\r\n")
            assert first == "POST /v1/x%2Fy?api-version=2 HTTP/1.1"
            assert sorted(rest) == [
                "Accept-Encoding: gzip",
                "Accept: application/json",
                "Authorization: Bearer k",
                "Content-Length: 8",
                f"Host: 127.0.0.1:{server.port}",
                "User-Agent: penstock",
                "X-A: é",
                "content-type: text/plain",
            ]

    run(main)


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"z" * 5_000_000], ids=["none", "raw", "big"])
def test_a_body_goes_out_byte_for_byte(run: Run, client, body: bytes) -> None:
    async def main() -> None:
        async with RawServer(echo) as server, client() as it:
            assert (await it.answer(server, body)).body == body

    run(main)


@pytest.mark.parametrize("status", [200, 201, 400, 401, 408, 413, 429, 500, 503, 529])
def test_a_status_is_an_answer(run: Run, client, status: int) -> None:
    async def main() -> None:
        said = counted(b"{}", status, "Retry-After: 3\r\nX-Two: a\r\nX-Two: b\r\n")
        async with RawServer(saying(said)) as server, client() as it:
            before_ns = time.monotonic_ns()
            answer = await it.answer(server)
            assert (answer.status, answer.body) == (status, b"{}")
            assert answer.headers["retry-after"] == "3"
            assert answer.headers.getall("x-two") == ["a", "b"]
            times = [before_ns, answer.sent_ns, answer.done_ns]
            assert times == sorted(times)
            await it.answer(server)
            assert len(server.peers) == 1

    run(main)


@pytest.mark.parametrize(
    "said",
    [b"HTTP/1.1 204 None\r\n\r\n", counted(b""), chunked(b""), b"HTTP/1.1 204 N\r\nX: y\r\n\r\n"],
)
def test_an_empty_answer_is_an_answer(run: Run, client, said: bytes) -> None:
    async def main() -> None:
        async with RawServer(saying(said)) as server, client() as it:
            assert (await it.answer(server)).body == b""
            assert (await it.answer(server)).body == b""
            assert len(server.peers) == 1

    run(main)


def test_a_length_may_have_any_number_of_zeros_before_it(run: Run, client) -> None:
    async def main() -> None:
        said = counted(b"{}").replace(b"Length: ", b"Length: " + b"0" * 9000)
        async with RawServer(saying(said)) as server, client() as it:
            assert (await it.answer(server)).body == b"{}"

    run(main)


def test_informational_answers_are_passed_over(run: Run, client) -> None:
    async def main() -> None:
        informed = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
        async with RawServer(saying(informed + counted(b"1"))) as server, client() as it:
            assert (await it.answer(server)).body == b"1"
            assert (await it.answer(server)).body == b"1"
            assert len(server.peers) == 1

    run(main)


def test_switching_protocols_is_refused(run: Run, client) -> None:
    async def main() -> None:
        said = (
            b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81\x00"
        )
        async with RawServer(saying(said)) as server, client() as it:
            assert (await it.failure(server)).kind == "malformed"
            await server.peers[0].gone.wait()

    run(main)


def test_an_answer_that_ends_with_its_connection_is_whole(run: Run, client) -> None:
    async def main() -> None:
        said = until_end(b'{"cut": "or no')
        async with RawServer(saying(said, "close")) as server, client() as it:
            assert (await it.answer(server)).body == b'{"cut": "or no'

    run(main)


def test_an_answer_that_ends_with_a_reset_is_not_whole(run: Run, client) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            await peer.request()
            await peer.say_and_be_heard(until_end(bytes(20 << 20)))
            await peer.reset()

        async with RawServer(serve) as server, client(max_body_bytes=64 << 20) as it:
            assert (await it.failure(server)).kind == "disconnected"

    run(main)


CUT = {
    "head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "no body": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
    "counted": counted(b'{"a": 1}')[:-1],
    "zipped": zipped(b'{"a": 1}')[:-1],
    "chunk": chunked(b'{"a": 1}')[:-8],
    "last chunk": chunked(b'{"a": 1}')[:-5],
    "last byte": chunked(b'{"a": 1}')[:-1],
}


@pytest.mark.parametrize("said", CUT.values(), ids=CUT)
def test_an_answer_that_was_cut_is_a_failure(run: Run, client, said: bytes) -> None:
    async def main() -> None:
        async with RawServer(saying(said, "close")) as server, client() as it:
            failure = await it.failure(server)
            assert (failure.kind, failure.sent_ns > 0) == ("disconnected", True)
            assert len(server.peers) == 1

    run(main)


BROKEN = {
    "not http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "long line": b"HTTP/1.1 200 OK\r\nA: " + b"x" * 20_000 + b"\r\n\r\n",
    "endless line": b"HTTP/1.1 200 OK\r\nA: " + b"x" * 500_000,
    "endless reason": b"HTTP/1.1 200 " + b"x" * 500_000,
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000,
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
    "length and chunks": chunked(b"1", headers="Content-Length: 1\r\n"),
    "no length": b"HTTP/1.1 200 OK\r\nContent-Length: lots\r\n\r\n12",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n12",
    "first chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "not zipped": counted(b"plain text", headers="Content-Encoding: gzip\r\n"),
    "not zipped and more": counted(b"text", headers="Content-Encoding: gzip\r\n") + b"more",
    "not known": counted(b"plain text", headers="Content-Encoding: zstd\r\n"),
}


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN)
def test_what_is_not_http_is_a_failure_and_ends_its_connection(
    run: Run, client, said: bytes
) -> None:
    async def main() -> None:
        async with RawServer(saying(said)) as server, client() as it:
            failure = await it.failure(server)
            assert (failure.kind, failure.sent_ns > 0) == ("malformed", True)
            await server.peers[0].gone.wait()

    run(main)


def test_a_chunk_that_breaks_off_while_its_body_is_read_is_a_failure(run: Run, client) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            await peer.request()
            await peer.say_and_be_heard(chunked(bytes(20 << 20))[:-5])
            peer.say(b"zz\r\n")
            await peer.linger()

        async with RawServer(serve) as server, client(max_body_bytes=64 << 20) as it:
            assert (await it.failure(server)).kind == "malformed"
            await server.peers[0].gone.wait()

    run(main)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_not_followed(run: Run, client, status: int) -> None:
    async def main() -> None:
        async with RawServer(echo) as elsewhere, client() as it:
            place = f"http://user:secret@127.0.0.1:{elsewhere.port}/path-secret?query-secret"
            said = b"HTTP/1.1 %d R\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"
            async with RawServer(saying(said % (status, place.encode()))) as server:
                failure = await it.failure(server)
                assert failure.kind == "redirect"
                assert f"http://127.0.0.1:{elsewhere.port}" in failure.detail
                assert "secret" not in failure.detail
                assert elsewhere.peers == []

    run(main)


@pytest.mark.parametrize("location", [b"/v2/x", b"//[", b"", b"http://h:99999/", b"mailto:x"])
def test_a_redirect_to_anywhere_is_a_failure(run: Run, client, location: bytes) -> None:
    async def main() -> None:
        said = b"HTTP/1.1 307 R\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
        async with RawServer(saying(said)) as server, client() as it:
            assert (await it.failure(server)).kind == "redirect"

    run(main)


@pytest.mark.parametrize("framing", [counted, chunked, zipped])
def test_a_body_may_be_as_large_as_the_cap(run: Run, client, framing) -> None:
    async def main() -> None:
        async with (
            RawServer(saying(framing(b"x" * CAP))) as server,
            client(max_body_bytes=CAP) as it,
        ):
            assert len((await it.answer(server)).body) == CAP

    run(main)


@pytest.mark.parametrize("framing", [counted, chunked, zipped])
def test_a_body_above_the_cap_is_a_failure_and_ends_its_connection(
    run: Run, client, framing
) -> None:
    async def main() -> None:
        async with (
            RawServer(saying(framing(b"x" * (CAP + 1)))) as server,
            client(max_body_bytes=CAP) as it,
        ):
            failure = await it.failure(server)
            assert (failure.kind, failure.sent_ns > 0) == ("too_large", True)
            assert failure.done_ns >= failure.sent_ns > 0

    run(main)


def test_an_endless_body_is_cut_off(run: Run, client) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            await peer.request()
            peer.say(until_end(b""))
            while True:
                peer.say(b"x" * 65_536)
                await peer.writer.drain()

        async with RawServer(serve) as server, client(max_body_bytes=CAP) as it:
            assert (await it.failure(server)).kind == "too_large"
            await server.peers[0].gone.wait()

    run(main)


def deflated(body: bytes) -> bytes:
    return counted(zlib.compress(body, 9), headers="Content-Encoding: deflate\r\n")


def members(body: bytes) -> bytes:
    half = gzip.compress(body[: len(body) // 8], mtime=0)
    return counted(half * 8, headers="Content-Encoding: gzip\r\n")


@pytest.mark.parametrize("framing", [zipped, deflated, members])
def test_a_bomb_is_never_held_inflated(run: Run, client, framing) -> None:
    said = framing(bytes(64 << 20))

    async def main() -> None:
        async with RawServer(saying(said)) as server, client(max_body_bytes=CAP) as it:
            tracemalloc.start()
            try:
                failure = await it.failure(server)
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert failure.kind == "too_large"
            assert most < 4 * CAP
            await server.peers[0].gone.wait()

    run(main)


def test_no_cookie_is_kept(run: Run, client) -> None:
    async def main() -> None:
        said = counted(b"{}", headers="Set-Cookie: sticky=1; Path=/\r\n")
        async with RawServer(saying(said)) as server, client() as it:
            await it.answer(server)
            await it.answer(server)
            assert b"cookie" not in server.peers[0].heads[1].lower()

    run(main)


def test_the_environment_names_neither_proxies_nor_credentials(
    run: Run, client, monkeypatch, tmp_path
) -> None:
    (tmp_path / "netrc").write_text("default login somebody password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    async def main() -> None:
        async with RawServer(echo) as server, client() as it:
            it.headers = {}
            await it.answer(server)
            assert b"authorization" not in server.peers[0].heads[0].lower()

    run(main)
