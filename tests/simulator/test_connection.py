from __future__ import annotations

import asyncio
import base64
import json
import ssl
import subprocess
from collections import Counter
from contextlib import suppress
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from penstock.simulator import Settings, Simulator
from penstock.simulator.embeddings import unpack_vector
from penstock.simulator.faults import STRAY_TEXT
from simulator.raw_client import (
    CHAT,
    LOOPS,
    all_bytes,
    ask,
    chat,
    connected,
    read_response,
    request_bytes,
    until,
    with_simulator,
)


@pytest.fixture(params=sorted(LOOPS))
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_kept_alive_connection_answers_pipelined_requests_in_order(loop: str) -> None:
    async def talk(simulator: Simulator) -> list[str]:
        async with connected(simulator) as (reader, writer):
            texts = [f"row {number}" for number in range(50)]
            writer.write(b"".join(request_bytes(CHAT, chat(text)) for text in texts))
            answers = [await read_response(reader) for _ in texts]
        assert simulator.stats()["connections"] == 1
        return [one.json()["choices"][0]["message"]["content"] for one in answers]

    answers = with_simulator(
        Settings(output_tokens=1, ttft_seconds=0.002, ttft_spread=2), talk, loop
    )
    assert answers == [f"echo: row {number}" for number in range(50)]


def test_a_connection_that_the_client_wants_closed_is_closed_after_its_answer(loop: str) -> None:
    async def talk(simulator: Simulator) -> bytes:
        async with connected(simulator) as (reader, writer):
            writer.write(request_bytes(CHAT, chat("x"), Connection="close"))
            answer = await read_response(reader)
            assert answer.status == 200 and answer.headers["connection"] == "close"
            return await reader.read()

    assert with_simulator(Settings(), talk, loop) == b""


def test_bytes_that_are_no_request_get_a_400_and_the_end(loop: str) -> None:
    async def talk(simulator: Simulator) -> bytes:
        async with connected(simulator) as (reader, writer):
            writer.write(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
            return await reader.read()

    assert with_simulator(Settings(), talk, loop).startswith(b"HTTP/1.1 400 ")


def test_a_chunked_body_after_100_continue_is_taken(loop: str) -> None:
    body = json.dumps(chat("hello")).encode()

    async def talk(simulator: Simulator) -> Any:
        async with connected(simulator) as (reader, writer):
            writer.write(
                f"POST {CHAT} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                "Expect: 100-continue\r\n\r\n".encode()
            )
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
            return (await read_response(reader)).json()

    answer = with_simulator(Settings(), talk, loop)
    assert answer["choices"][0]["message"]["content"].startswith("echo: hello")


def test_an_answer_takes_the_time_that_was_drawn(loop: str) -> None:
    async def talk(simulator: Simulator) -> float:
        clock = asyncio.get_running_loop()
        begun = clock.time()
        await ask(simulator, CHAT, chat("x"))
        return clock.time() - begun

    settings = Settings(
        ttft_seconds=0.05,
        ttft_spread=0,
        seconds_per_token=0.01,
        output_tokens=5,
        output_tokens_spread=0,
    )
    # The loops round timers to a millisecond.
    assert 0.098 <= with_simulator(settings, talk, loop) < 5


def test_a_client_that_hangs_up_early_was_not_answered(loop: str) -> None:
    async def talk(simulator: Simulator) -> dict[str, Any]:
        async with connected(simulator) as (_, writer):
            writer.write(request_bytes(CHAT, chat("x")))
            await until(lambda: simulator.stats()["in_flight"] == 1)
        await until(lambda: simulator.stats()["in_flight"] == 0)
        return simulator.stats()

    stats = with_simulator(Settings(ttft_seconds=60, ttft_spread=0), talk, loop)
    assert stats["requests"] == {f"POST {CHAT}": {"none": 1}}
    assert stats["answered_bodies"] == 0


def faulty(fault: str, loop: str, count: int = 12, **fields: Any) -> list[tuple[bytes, bool]]:
    """What `count` requests, each on its own connection, bring until the connection ends."""

    async def talk(simulator: Simulator) -> list[tuple[bytes, bool]]:
        received = [
            await all_bytes(simulator, CHAT, chat(f"row {number}", **fields))
            for number in range(count)
        ]
        assert simulator.stats()["faults"] == {fault: count}
        assert simulator.stats()["answered_bodies"] == 0
        return received

    return with_simulator(Settings(**{fault: 1.0}), talk, loop)


def test_a_disconnect_is_a_clean_end_a_reset_or_a_cut_on_the_wire(loop: str) -> None:
    received = faulty("disconnect", loop)
    assert (b"", False) in received
    assert (b"", True) in received
    cut = [(data, reset) for data, reset in received if data]
    assert cut
    for data, reset in cut:
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        assert reset and len(body) == length // 2


async def kept_response(simulator: Simulator, number: int) -> bytes | None:
    """The body under an honest length, if the connection then serves another request."""
    async with connected(simulator) as (reader, writer):
        writer.write(request_bytes(CHAT, chat(f"row {number}")))
        try:
            answer = await read_response(reader)
        except asyncio.IncompleteReadError:
            return None
        if "content-length" not in answer.headers:
            return None
        writer.write(request_bytes("/healthz", method="GET"))
        assert (await read_response(reader)).status == 200
        return answer.body


def test_a_truncated_body_comes_with_and_without_an_honest_end(loop: str) -> None:
    async def talk(simulator: Simulator) -> list[bytes | None]:
        return [await kept_response(simulator, number) for number in range(20)]

    received = with_simulator(Settings(truncated=1), talk, loop)
    honest = [body for body in received if body is not None]
    assert 0 < len(honest) < 20
    for body in honest:
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)


@pytest.mark.parametrize("fault", ["garbage", "empty"])
def test_a_200_without_json_leaves_the_connection_in_order(fault: str, loop: str) -> None:
    async def talk(simulator: Simulator) -> list[bytes | None]:
        return [await kept_response(simulator, number) for number in range(6)]

    for body in with_simulator(Settings(**{fault: 1.0}), talk, loop):
        assert body is not None
        with pytest.raises(ValueError, match=r".*"):
            json.loads(body)


def test_html_pages_are_seen_as_such(loop: str) -> None:
    async def talk(simulator: Simulator) -> set[tuple[int, str, bytes]]:
        answers = [await ask(simulator, CHAT, chat(f"row {number}")) for number in range(12)]
        return {(one.status, one.headers["content-type"], one.body[:6]) for one in answers}

    assert with_simulator(Settings(html_500=1), talk, loop) == {
        (502, "text/html", b"<html>"),
        (503, "text/html", b"<html>"),
    }


def test_a_timeout_is_never_answered_and_holds_its_place(loop: str) -> None:
    async def talk(simulator: Simulator) -> int:
        async with connected(simulator) as (reader, writer):
            writer.write(request_bytes(CHAT, chat("x")))
            async with connected(simulator) as (other_reader, other_writer):
                await until(lambda: simulator.stats()["in_flight"] == 1)
                other_writer.write(request_bytes(CHAT, chat("y")))
                refused = await read_response(other_reader)
            assert not reader.at_eof()
            return refused.status

    assert with_simulator(Settings(timeout=1, concurrency=1), talk, loop) == 429


def test_a_stray_answer_stands_behind_the_good_one(loop: str) -> None:
    async def talk(simulator: Simulator) -> list[str]:
        async with connected(simulator) as (reader, writer):
            writer.write(request_bytes(CHAT, chat("mine")))
            answers = [(await read_response(reader)).json() for _ in range(2)]
        assert simulator.stats()["answered_bodies"] == 1
        return [one["choices"][0]["message"]["content"] for one in answers]

    mine, stray = with_simulator(Settings(stray=1), talk, loop)
    assert mine.startswith("echo: mine") and stray == STRAY_TEXT


@pytest.mark.parametrize("seconds_per_token", [0.0, 0.004])
def test_a_stream_parses_and_carries_the_record(loop: str, seconds_per_token: float) -> None:
    asked = chat("hello", stream=True, stream_options={"include_usage": True})

    async def talk(simulator: Simulator) -> tuple[str, list[str]]:
        answer = await ask(simulator, CHAT, asked)
        assert simulator.stats()["answered_bodies"] == 1
        events = answer.body.decode().removesuffix("\n\n").split("\n\n")
        return answer.headers["content-type"], [one.removeprefix("data: ") for one in events]

    settings = Settings(seconds_per_token=seconds_per_token, output_tokens=12)
    content_type, events = with_simulator(settings, talk, loop)
    assert content_type.startswith("text/event-stream")
    assert events.pop() == "[DONE]"
    chunks = [json.loads(one) for one in events]
    text = "".join(one["choices"][0]["delta"].get("content", "") for one in chunks[:-1])
    assert text.startswith("echo: hello")
    assert chunks[-1]["usage"]["completion_tokens"] >= 1


@pytest.mark.parametrize("fault", ["truncated", "disconnect", "garbage", "empty", "error_in_200"])
def test_a_faulty_stream_never_says_done(fault: str, loop: str) -> None:
    async def talk(simulator: Simulator) -> list[bytes]:
        received = []
        for number in range(9):
            async with connected(simulator) as (reader, writer):
                asked = chat(f"row {number}", stream=True)
                writer.write(request_bytes(CHAT, asked, Connection="close"))
                try:
                    received.append(await reader.read())
                except ConnectionResetError:
                    received.append(b"")
        return received

    received = with_simulator(Settings(**{fault: 1.0}), talk, loop)
    assert not any(b"[DONE]" in one for one in received)


def test_base64_embeddings_decode_to_the_float_ones_over_the_wire(loop: str) -> None:
    asked = {"model": "m", "input": ["one", "two"], "dimensions": 8}

    async def talk(simulator: Simulator) -> tuple[Any, Any]:
        plain = await ask(simulator, "/v1/embeddings", asked)
        packed = await ask(simulator, "/v1/embeddings", {**asked, "encoding_format": "base64"})
        return plain.json()["data"], packed.json()["data"]

    for one, other in zip(*with_simulator(Settings(), talk, loop), strict=True):
        assert tuple(one["embedding"]) == unpack_vector(base64.b64decode(other["embedding"]))


def test_stats_and_reset_are_pages(loop: str) -> None:
    async def talk(simulator: Simulator) -> None:
        await ask(simulator, CHAT, chat("x"))
        seen = (await ask(simulator, "/stats", method="GET")).json()
        assert seen["requests"] == {f"POST {CHAT}": {"200": 1}}
        assert seen["connections"] == 2
        assert (await ask(simulator, "/reset")).status == 200
        assert (await ask(simulator, "/stats", method="GET")).json()["received"] == 0
        assert (await ask(simulator, "/healthz", method="GET")).json() == {"status": "ok"}

    with_simulator(Settings(), talk, loop)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if which("openssl") is None:
        pytest.skip("openssl is not installed: no certificate can be made")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        " -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout"
    )
    subprocess.run([*command.split(), key, "-out", cert], check=True, capture_output=True)
    return cert, key


def test_tls_is_spoken_with_a_certificate(loop: str, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate

    async def talk(simulator: Simulator) -> int:
        assert simulator.base_url.startswith("https://127.0.0.1:")
        trusted = ssl.create_default_context(cafile=cert)
        async with connected(simulator, ssl=trusted) as (reader, writer):
            writer.write(request_bytes(CHAT, chat("x")))
            return (await read_response(reader)).status

    settings = Settings(certfile=str(cert), keyfile=str(key))
    assert with_simulator(settings, talk, loop) == 200


def test_the_books_agree_with_what_the_client_saw(loop: str) -> None:
    rates = dict.fromkeys(
        ("throttle", "error_500", "html_500", "disconnect", "truncated", "garbage", "empty"), 0.09
    )
    settings = Settings(seed=11, reject=0.1, **rates)

    async def talk(simulator: Simulator) -> None:
        statuses: Counter[str] = Counter()
        whole = []
        for number in range(200):
            async with connected(simulator) as (reader, writer):
                writer.write(request_bytes(CHAT, chat(f"row {number}"), Connection="close"))
                received = b""
                with suppress(ConnectionResetError):
                    while data := await reader.read(65536):
                        received += data
            statuses[received[9:12].decode() or "none"] += 1
            body = received.partition(b"\r\n\r\n")[2]
            if f"echo: row {number}".encode() in body and body.endswith(b"}"):
                whole.append(json.loads(body)["usage"])
        stats = simulator.stats()
        assert stats["requests"] == {f"POST {CHAT}": dict(statuses)}
        assert stats["received"] == stats["distinct_bodies"] == stats["connections"] == 200
        assert stats["answered_bodies"] == len(whole)
        assert stats["prompt_tokens"] == sum(one["prompt_tokens"] for one in whole)
        assert stats["completion_tokens"] == sum(one["completion_tokens"] for one in whole)
        assert set(stats["faults"]) == set(rates)
        assert stats["rejected"] == statuses["400"] > 0

    with_simulator(settings, talk, loop)
