"""A provider that goes away in every way there is, and comes back: no row pays for it."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from integration.place import Place, text_rows
from integration.server import asked, chat, serving
from torture.conftest import Figures
from transport.raw import Peer, counted, zipped

SHORT = ("page", "silence")
PAGE = counted(b"<html><title>502 Bad Gateway</title></html>", 502)
BUSY = b'{"error": {"message": "busy", "type": "overloaded", "code": null}}'
TORN = zipped(chat("torn"))[:-20]


class Switch:
    """A server that is well, ill, and well again; remembers what it was asked in between."""

    def __init__(self, illness: str) -> None:
        self.illness = illness
        self.ill = threading.Event()
        self.answered = 0
        self.asked_while_ill = 0

    async def serve(self, peer: Peer) -> None:
        while True:
            body = json.loads(await peer.request())
            peer.heads.clear()
            if not self.ill.is_set():
                self.answered += 1
                peer.say(counted(chat(f"echo: {asked(body)}")))
                continue
            self.asked_while_ill += 1
            match self.illness:
                case "page":
                    peer.say(PAGE)
                case "busy":
                    peer.say(counted(BUSY, 503))
                case "busy for a second":
                    peer.say(counted(BUSY, 503, "Retry-After: 1\r\n"))
                case "torn":
                    peer.say(TORN)
                    return
                case "reset":
                    await peer.reset()
                    return
                case "garbage":
                    peer.say(b"\x00\x01\x02\r\n\r\n")
                    return
                case "silence":
                    await peer.linger()
                    return


@pytest.mark.parametrize(
    "illness", ["page", "busy", "busy for a second", "torn", "reset", "garbage", "silence"]
)
def test_a_provider_that_falls_ill_and_recovers_costs_no_row(
    tmp_path: Path, long: bool, figures: Figures, illness: str
) -> None:
    if not long and illness not in SHORT:
        pytest.skip("in the long form alone")
    run, switch = Place(tmp_path, text_rows(800)), Switch(illness)
    options = {"max_concurrency": 16, "max_attempts": 2, "timeout": 0.5, "rps": 400}
    with serving(switch.serve) as base_url, run.start(base_url, **options) as live:
        live.until(lambda: switch.answered > 100)
        switch.ill.set()
        down = "throttled" if illness.startswith("busy") else "endpoint_down"
        live.until(lambda: happened(live.events(), down))
        at_least = switch.asked_while_ill + 2
        live.until(lambda: switch.asked_while_ill >= at_least)
        switch.ill.clear()
        ended = live.wait()
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert run.dead_letters() == []
    assert switch.asked_while_ill < 200
    figures(outages=1)


def test_a_name_that_stops_resolving_and_resolves_again_costs_no_row(
    tmp_path: Path, figures: Figures
) -> None:
    """SERVFAIL and NXDOMAIN by turns, as a resolver gives them that restarts."""
    run, gone, answered = Place(tmp_path, text_rows(400)), tmp_path / "no-name", 0
    run.patched(RESOLVER.format(gone=str(gone)))

    async def serve(peer: Peer) -> None:
        nonlocal answered
        text = asked(json.loads(await peer.request()))
        answered += 1
        peer.say(counted(chat(f"echo: {text}"), headers="Connection: close\r\n"))

    with serving(serve) as base_url:
        named = base_url.replace("127.0.0.1", "api.penstock.test")
        with run.start(named, max_concurrency=16, max_attempts=1, rps=300) as live:
            live.until(lambda: answered > 100)
            gone.touch()
            live.until(lambda: happened(live.events(), "endpoint_down"))
            gone.unlink()
            ended = live.wait()
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert happened(run.events(), "endpoint_up")
    assert "no such name, says the test" in ended.stderr
    figures(outages=1)


RESOLVER = """
import itertools, os, socket

try:
    from aiohttp import TCPConnector, ThreadedResolver
except ImportError:
    pass
else:
    init, resolved, turn = TCPConnector.__init__, ThreadedResolver.resolve, itertools.count()

    def without_cache(self, *args, **kwargs):
        init(self, *args, **dict(kwargs, use_dns_cache=False))

    async def resolve(self, host, port=0, family=socket.AF_INET):
        if host == "api.penstock.test":
            if os.path.exists({gone!r}):
                code = socket.EAI_NONAME if next(turn) % 2 else socket.EAI_AGAIN
                raise socket.gaierror(code, "no such name, says the test")
            host = "127.0.0.1"
        return await resolved(self, host, port, family)

    TCPConnector.__init__, ThreadedResolver.resolve = without_cache, resolve
"""


@contextmanager
def black_hole() -> Iterator[str]:
    """An address that takes no connection and refuses none, as behind a firewall that drops."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for one in fillers:
            one.setblocking(False)
            one.connect_ex(address)
        try:
            yield f"http://127.0.0.1:{address[1]}/v1"
        finally:
            for one in fillers:
                one.close()


def test_of_an_address_that_swallows_connections_is_said_that_it_is_down(
    tmp_path: Path, long: bool, figures: Figures
) -> None:
    if not long:
        pytest.skip("in the long form alone: connecting has ten seconds")
    run = Place(tmp_path, text_rows(100))
    with black_hole() as base_url, run.start(base_url, max_concurrency=16) as live:
        live.until(lambda: happened(live.events(), "endpoint_down"))
        live.signal(signal.SIGTERM)
        ended = live.wait(20.0)
    assert ended.code == 143, ended.stderr
    assert "connect_timeout" in ended.stderr
    assert (ended.summary["succeeded"], ended.summary["failed"]) == (0, 0)
    figures(outages=1)


def happened(events: list[dict[str, Any]], name: str) -> bool:
    return any(one["event"] == name for one in events)
