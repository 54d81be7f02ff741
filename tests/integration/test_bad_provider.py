"""Whole runs against providers that do what they should not: each ends as it is decided to end."""

from __future__ import annotations

import itertools
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from conftest import Simulate
from integration.conftest import MakePlace
from integration.place import Place, text_rows
from integration.server import answering, asked, chat, echo, serving
from transport.raw import Peer, Serve, certificates, counted, zipped
from transport.test_hostile import ENDED, MALFORMED

ROWS = 120
PAGE = counted(b"<html><title>502 Bad Gateway</title></html>", 502)
TORN = zipped(chat("torn"))[:-20]


# --- throttles -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wait", ["1000000000", "Fri, 31 Dec 2100 00:00:00 GMT\r\nDate: Thu, 30 Dec 2100"]
)
def test_where_all_is_throttled_for_long_it_waits_says_so_and_ends_at_a_signal(
    place: MakePlace, wait: str
) -> None:
    run, slots, received = place(ROWS), 8, itertools.count(1)
    seen = 0
    if "GMT" in wait:
        wait += " 23:00:00 GMT"
    throttle = counted(b'{"error": {"message": "slow"}}', 429, f"Retry-After: {wait}\r\n")

    def answer(head: str, body: dict[str, Any]) -> bytes:
        nonlocal seen
        seen = next(received)
        return throttle

    with serving(answering(answer)) as base_url:
        with run.start(base_url, max_concurrency=slots) as live:
            live.until(lambda: "pausing" in live.stderr)
            live.signal(signal.SIGTERM)
            ended = live.wait(15.0)
    assert ended.code == 143, ended.stderr
    assert "throttled by the provider: pausing" in ended.stderr
    assert 2 <= seen <= slots + 1
    assert (ended.summary["succeeded"], ended.summary["failed"]) == (0, 0)


@pytest.mark.parametrize("wait", ["-5"])
def test_a_wait_that_is_over_or_can_not_be_read_holds_nothing_up(
    place: MakePlace, wait: str
) -> None:
    run, received = place(10), itertools.count()

    def answer(head: str, body: dict[str, Any]) -> bytes:
        if next(received) % 2:
            return counted(b'{"error": {}}', 429, f"Retry-After: {wait}\r\n")
        return echo(head, body)

    with serving(answering(answer)) as base_url:
        ended = run.run(base_url, max_concurrency=4, max_attempts=1)
    assert ended.code == 0, ended.stderr
    run.check_answers()


# --- what stops a run ----------------------------------------------------------------------------


def test_a_redirect_stops_the_run_and_nothing_goes_where_it_points(place: MakePlace) -> None:
    run, elsewhere = place(40), []
    run.environment["THE_KEY"] = "sk-canary-of-redirects"

    async def watch(peer: Peer) -> None:
        elsewhere.append(peer)
        await peer.linger()

    with serving(watch) as there:
        said = f"HTTP/1.1 307 R\r\nLocation: {there}/x\r\nContent-Length: 0\r\n\r\n".encode()
        with serving(answering(lambda head, body: said)) as base_url:
            ended = run.run(base_url, api_key_env="THE_KEY")
    assert ended.code == 4, ended.stderr
    assert there.removesuffix("/v1") in ended.stderr
    assert ended.summary["failed"] == 0
    assert elsewhere == []
    with serving(answering(echo)) as base_url:
        ended = run.run(base_url, api_key_env="THE_KEY")
    assert ended.code == 0, ended.stderr
    run.check_answers()


def test_a_certificate_that_is_not_valid_stops_the_run_and_nothing_is_sent(
    place: MakePlace,
) -> None:
    run, heads = place(40), []

    async def serve(peer: Peer) -> None:
        await peer.request()
        heads.append(peer.heads[0])

    with serving_tls(serve, "expired") as base_url:
        ended = run.run(base_url, ca_file=certificates() / "authority.pem")
    assert ended.code == 4, ended.stderr
    assert "certificate" in ended.stderr
    assert (ended.summary["succeeded"], ended.summary["failed"]) == (0, 0)
    assert heads == []
    with serving_tls(answering(echo), "localhost") as base_url:
        ended = run.run(base_url, ca_file=certificates() / "authority.pem")
    assert ended.code == 0, ended.stderr
    run.check_answers()


@contextmanager
def serving_tls(serve: Serve, certificate: str) -> Iterator[str]:
    """As `serving`, encrypted."""
    with serving(serve, certificate) as base_url:
        yield base_url.replace("http://127.0.0.1", "https://localhost")


# --- hostile bytes -------------------------------------------------------------------------------


def test_a_server_that_says_all_that_it_should_not_gets_no_wrong_answer_through(
    place: MakePlace,
) -> None:
    """The first attempt of every other row meets a hostile answer.

    Those that say a whole `hello` are cut from JSON, or are an answer of no shape: bad responses.
    """
    run, times = place(ROWS), dict[str, int]()
    evil = [*MALFORMED.values(), *ENDED.values(), PAGE, TORN, b"", counted(b""), counted(b"null")]

    async def serve(peer: Peer) -> None:
        while True:
            text = asked(json.loads(await peer.request()))
            peer.heads.clear()
            turn = times[text] = times.get(text, 0) + 1
            number = int(text.split()[1].rstrip(","))
            if turn == 1 and number % 2:
                data = evil[number // 2 % len(evil)]
                peer.say(data)
                if data in (TORN, b""):
                    return
            else:
                peer.say(counted(chat(f"echo: {text}")))

    with serving(serve) as base_url:
        ended = run.run(base_url, max_concurrency=16, max_attempts=6, timeout=5, workers=2)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert len(evil) < ROWS // 2
    assert sum(times.values()) > ROWS + len(evil) / 2


def test_a_run_through_every_fault_of_the_simulator_ends_with_every_answer_its_own(
    place: MakePlace, simulate: Simulate
) -> None:
    run = place(150)
    each = 0.02
    faults = ("throttle", "error_500", "html_500", "timeout", "disconnect", "truncated")
    faults += ("garbage", "empty", "error_in_200", "stray")
    provider = simulate(retry_after_seconds=0.2, **dict.fromkeys(faults, each))
    ended = run.run(provider.base_url, max_concurrency=32, max_attempts=12, timeout=0.5, workers=2)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert len(provider.stats()["faults"]) > 5
    assert provider.stats()["duplicates"] == 0


# --- a request that is too large -----------------------------------------------------------------


@pytest.mark.parametrize("early", [True, False])
def test_a_request_that_is_refused_as_too_large_costs_its_own_row_alone(
    place: MakePlace, tmp_path, early: bool
) -> None:
    """Also where the server answers before it has read it, and closes."""
    rows = text_rows(40)
    rows[7]["text"] += "x" * 3_000_000
    run = Place(tmp_path, rows)
    refused = counted(b'{"error": {"message": "too large"}}', 413, "Connection: close\r\n")

    async def serve(peer: Peer) -> None:
        while True:
            head = await peer.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            if length > 1_000_000:
                if not early:
                    await peer.reader.readexactly(length)
                peer.say(refused)
                await peer.close()
                return
            body = json.loads(await peer.reader.readexactly(length))
            peer.say(counted(chat(f"echo: {asked(body)}")))

    with serving(serve) as base_url:
        ended = run.run(base_url, max_concurrency=8, max_attempts=2)
    assert ended.code == 3, ended.stderr
    run.check_answers(dead=[7])
    assert run.results()[7]["error_class"] in ("request_too_large", "disconnected")
