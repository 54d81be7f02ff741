"""Answers of a gigabyte, and small ones that inflate to one: how much a worker ever holds."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from integration.place import PATIENCE_SECONDS, Live, Place, text_rows
from integration.server import asked, chat, serving
from transport.raw import Peer, counted, until_end

ROWS = 12
SLOTS = 4
GIB = 1 << 30
BOMB = gzip.compress(bytes(64 << 20), mtime=0) * 16
CAP_KIB = 16 << 10
# Beside the bytes that are held up to the cap: what a run takes anyhow as it gets going.
SPARE_KIB = 48 << 10

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")

Say = Callable[[Peer], Awaitable[None]]


async def gigabyte(peer: Peer) -> None:
    """As fast as it is read, under a length or under none."""
    length = counted(b"").replace(b"Length: 0", b"Length: %d" % GIB)
    peer.say(until_end(b"") if peer.number % 2 else length)
    block = b"x" * (1 << 20)
    for _ in range(GIB // len(block)):
        peer.say(block)
        await peer.writer.drain()


async def bomb(peer: Peer) -> None:
    """A gigabyte of zeros in a megabyte, as members of 64 MiB."""
    peer.say(counted(BOMB, headers="Content-Encoding: gzip\r\n"))
    await peer.writer.drain()


async def error(peer: Peer) -> None:
    """A gigabyte that says 400."""
    peer.say(until_end(b"").replace(b" 200 ", b" 400 ", 1))
    while True:
        peer.say(b"x" * (1 << 20))
        await peer.writer.drain()


CASES = {
    "a gigabyte": (gigabyte, "response_too_large"),
    "a gzip bomb": (bomb, "response_too_large"),
    "an error of a gigabyte": (error, "invalid_request"),
}


@pytest.mark.parametrize(("say", "error_class"), CASES.values(), ids=CASES)
def test_of_what_has_no_end_a_worker_holds_no_more_than_the_cap_for_each_slot(
    tmp_path: Path, say: Say, error_class: str
) -> None:
    """Measured by the kernel: the most that the worker's process ever had."""
    run, server = Place(tmp_path, text_rows(ROWS)), Server(say)
    with serving(server.serve) as base_url:
        with run.start(base_url, max_concurrency=SLOTS, max_attempts=1) as live:
            live.until(server.first_asked.is_set)
            before = peak_kib(live)
            server.begin.set()
            live.until(server.last_asked.is_set)  # so all but a slot's worth have ended
            grown = peak_kib(live) - before
            server.finish.set()
            ended = live.wait()
    assert ended.code == 3, ended.stderr
    run.check_answers(dead=range(ROWS - 1))
    assert {one["error_class"] for one in run.results()[:-1]} == {error_class}
    assert grown < SLOTS * CAP_KIB + SPARE_KIB, f"{grown} KiB more than before"


class Server:
    """Says what it has to say to all rows but the last, which it answers when it is told to."""

    def __init__(self, say: Say) -> None:
        self.first_asked, self.begin = threading.Event(), threading.Event()
        self.last_asked, self.finish = threading.Event(), threading.Event()
        self._say = say

    async def serve(self, peer: Peer) -> None:
        text = asked(json.loads(await peer.request()))
        self.first_asked.set()
        await asyncio.to_thread(self.begin.wait, PATIENCE_SECONDS)
        if not text.startswith(f"text {ROWS - 1},"):
            await self._say(peer)
            await peer.linger()
            return
        self.last_asked.set()
        await asyncio.to_thread(self.finish.wait, PATIENCE_SECONDS)
        peer.say(counted(chat(f"echo: {text}"), headers="Connection: close\r\n"))


def peak_kib(live: Live) -> int:
    """The most memory that a worker of the run had so far."""
    return max(peak_of(worker.pid) for worker in live.workers())


def peak_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])
