"""Answers that nobody asked for, on connections that are kept: none is taken for a row's own."""

from __future__ import annotations

import asyncio
import json

from conftest import Simulate
from integration.conftest import MakePlace
from integration.server import asked, chat, serving
from transport.raw import Peer, counted

ROWS = 600
LATE = counted(chat("the answer of another"))


def test_an_answer_behind_the_answer_is_not_the_next_row_s(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(ROWS), simulate(stray=0.3)
    ended = run.run(provider.base_url, max_concurrency=16)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert provider.stats()["faults"]["stray"] > 100
    assert provider.stats()["asked_again"] == 0


def test_an_answer_that_comes_while_a_connection_is_idle_is_nobody_s(place: MakePlace) -> None:
    """With a rate so low that each connection is idle between two requests.

    Where the next request is out already, an answer that comes before its own can't be told from
    it: HTTP/1.1 knows an answer by its place alone.
    """
    run, late, overtaken = place(250), 0, set[str]()

    async def serve(peer: Peer) -> None:
        nonlocal late
        met = False
        while True:
            body = json.loads(await peer.request())
            peer.heads.clear()
            if met:  # the request was out before the late answer was: see above
                overtaken.add(asked(body))
                met = False
            peer.say(counted(chat(f"echo: {asked(body)}")))
            await asyncio.sleep(0.001)
            if peer.untouched():
                peer.slip(LATE)
                late += 1
                met = not peer.untouched()

    with serving(serve) as base_url:
        ended = run.run(base_url, max_concurrency=8, rps=100)
    assert ended.code == 0, ended.stderr
    assert late > 100
    wrong = {one["text"] for one in run.results() if one["output"] == "the answer of another"}
    assert wrong <= overtaken
    if not wrong:
        run.check_answers()


def test_a_connection_that_was_given_up_on_is_not_used_again(place: MakePlace) -> None:
    run, slow = place(200), set[str]()

    async def serve(peer: Peer) -> None:
        while True:
            text = asked(json.loads(await peer.request()))
            if "7, of" in text and text not in slow:
                slow.add(text)
                await asyncio.sleep(1.0)  # beyond --timeout: this answer comes too late
            peer.say(counted(chat(f"echo: {text}")))

    with serving(serve) as base_url:
        ended = run.run(base_url, max_concurrency=8, timeout=0.4)
    assert ended.code == 0, ended.stderr
    assert slow
    run.check_answers()
