"""Frames over a real socket pair, however they are cut, and when a peer dies."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest
import uvloop

from penstock.engine.channel import HEADER, Channel
from penstock.engine.messages import (
    Committed,
    Drain,
    FromSupervisor,
    FromWorker,
    Goodbye,
    Hello,
    Lease,
    Message,
    Want,
)
from penstock.ledger.mark import ShardMark
from penstock.ledger.written import Spent, Written

WRITTEN = Written(
    "0001-0002-0003.arrow",
    4,
    5,
    6,
    0,
    bytes(range(16)),
    {"timeout": bytes(8)},
    Spent(1, 2, 3, 4, 0.5, 6),
    [ShardMark(0, 8, -7)],
)
MESSAGES = [(Hello(42), b""), (Committed([WRITTEN]), b"payload"), (Want(7), b""), (Goodbye(), b"x")]


class End:
    """One end of a pair, and what came to it."""

    def __init__(self, kinds: Any) -> None:
        self.came: list[tuple[Message, bytes]] = []
        self.lost = asyncio.Event()
        self.losses = 0
        self.channel: Channel[Any] = Channel(kinds, self._received, self._lost)

    def _received(self, message: Message, payload: bytes) -> None:
        self.came.append((message, payload))

    def _lost(self) -> None:
        self.losses += 1
        self.lost.set()


async def connected(kinds: Any) -> tuple[End, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    end = End(kinds)
    await asyncio.get_running_loop().create_connection(lambda: end.channel, sock=ours)
    return end, theirs


def frame(message: Message, payload: bytes) -> bytes:
    body = msgspec.msgpack.encode(message)
    return HEADER.pack(len(body), len(payload)) + body + payload


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    def run_it(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(asyncio.wait_for(main, 20))

    return run_it


Run = Callable[[Coroutine[Any, Any, None]], None]


def test_frames_arrive_whole_and_in_order_wherever_the_bytes_are_cut() -> None:
    stream = b"".join(frame(*one) for one in MESSAGES)

    async def main() -> None:
        for cut in range(len(stream) + 1):
            end = End(FromWorker)
            end.channel.data_received(stream[:cut])
            end.channel.data_received(stream[cut:])
            assert end.came == MESSAGES
        end = End(FromWorker)
        for byte in stream:
            end.channel.data_received(bytes([byte]))
        assert end.came == MESSAGES

    asyncio.run(main())


def test_what_a_dead_peer_had_written_is_read_and_half_a_frame_is_dropped(run: Run) -> None:
    async def main() -> None:
        end, theirs = await connected(FromWorker)
        whole = b"".join(frame(*one) for one in MESSAGES)
        theirs.sendall(whole + frame(Want(1), b"never whole")[:-3])
        theirs.close()
        await end.lost.wait()
        assert end.came == MESSAGES
        assert end.losses == 1
        assert end.channel.closed

    run(main())


def test_a_large_payload_crosses_unharmed_both_ways_of_a_slow_pair(run: Run) -> None:
    payload = bytes(range(256)) * (8 << 12)  # 8 MiB, far beyond the socket's buffers

    async def main() -> None:
        ours, theirs = socket.socketpair()
        sender, receiver = End(FromWorker), End(FromSupervisor)
        loop = asyncio.get_running_loop()
        for one, end in ((ours, sender), (theirs, receiver)):
            one.setblocking(False)
            await loop.create_connection(lambda end=end: end.channel, sock=one)  # type: ignore[misc]
        lease = Lease(1, "lines", "in.jsonl", 0, 9, 1, -5, [(0, 9)])
        sender.channel.send(lease, payload)
        sender.channel.send(Drain(2.5))
        sender.channel.close()  # what was sent goes out before the end
        await receiver.lost.wait()
        assert receiver.came == [(lease, payload), (Drain(2.5), b"")]
        receiver.channel.close()

    run(main())


def test_sending_to_a_peer_that_is_gone_raises_nothing(run: Run) -> None:
    async def main() -> None:
        end, theirs = await connected(FromWorker)
        theirs.close()
        await end.lost.wait()
        end.channel.send(Want(1))
        end.channel.close()

    run(main())


def test_before_it_is_connected_a_channel_sends_nothing_and_closes_without_a_word() -> None:
    async def main() -> None:
        end = End(FromWorker)
        end.channel.send(Want(1))
        end.channel.close()
        assert end.losses == 0

    asyncio.run(main())


GARBAGE = [
    HEADER.pack(2, 0) + b"\xc1\xc1",  # no MessagePack
    HEADER.pack(9, 0) + msgspec.msgpack.encode({"type": "x"})[:9],
    HEADER.pack(7, 0) + b"\x91" * 7,
    HEADER.pack(2**32 - 1, 0) + b"\0" * 64,
    HEADER.pack(3, 0) + b"\xa2\xff\xfe",
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_ends_the_connection_after_what_was_whole(run: Run, garbage: bytes) -> None:
    async def main() -> None:
        end, theirs = await connected(FromWorker)
        whole = b"".join(frame(*one) for one in MESSAGES)
        theirs.sendall(whole + garbage + whole)
        await end.lost.wait()
        assert end.came == MESSAGES
        assert end.losses == 1
        theirs.close()

    run(main())
