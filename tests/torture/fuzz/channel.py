"""Frames between supervisor and worker: what was whole is handed on, garbage is a clean end.

The first byte says in how large pieces the rest arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from penstock.engine.channel import HEADER, Channel
from penstock.engine.messages import (
    Committed,
    Failed,
    Fatal,
    FromSupervisor,
    FromWorker,
    Goodbye,
    Hello,
    Lease,
    Want,
)
from penstock.ledger.mark import ShardMark
from penstock.ledger.written import Spent, Written


class Pipe:
    """The transport of a channel that only receives."""

    closed = False

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    close = abort


def frame(message: msgspec.Struct, payload: bytes = b"") -> bytes:
    body = msgspec.msgpack.encode(message)
    return HEADER.pack(len(body), len(payload)) + body + payload


def frames() -> list[tuple[Any, msgspec.Struct, bytes]]:
    """Each message that is sent much, with who receives it and a payload."""
    ours = Written("0001-0002-0003.arrow", 4, 5, 6, 0, b"x" * 16, {}, Spent(), [ShardMark(0, 8, 1)])
    return [
        (FromWorker, Hello(42), b""),
        (FromWorker, Want(7), b""),
        (FromWorker, Committed([ours]), b"payload"),
        (FromWorker, Fatal("auth", "no", 401), b""),
        (FromWorker, Failed("no", "Traceback", True), b""),
        (FromWorker, Goodbye(), b"x"),
        (FromSupervisor, Lease(1, "lines", "in.jsonl", 0, 9, 1, -5, [(0, 9)]), b"{}\n" * 9),
    ]


def seeds() -> Sequence[bytes]:
    every = [frame(message, payload) for _, message, payload in frames()]
    return [*(b"\7" + one for one in every), b"\x40" + b"".join(every[:-1])]


def once(data: bytes, folder: Path) -> None:
    size = data[0] + 1 if data else 1
    stream = data[1:]
    for kinds in (FromWorker, FromSupervisor):
        came = received(kinds, [stream[at : at + size] for at in range(0, len(stream), size)])
        assert came == received(kinds, [stream])
        sent = [(message, payload) for kind, message, payload in frames() if kind is kinds]
        whole = 0
        while whole < len(sent) and stream.startswith(
            b"".join(frame(*m) for m in sent[: whole + 1])
        ):
            whole += 1
        assert came[:whole] == sent[:whole]


def received(kinds: Any, pieces: Sequence[bytes]) -> list[tuple[Any, bytes]]:
    """What a channel hands on of a stream; after garbage it is closed, and hands on nothing."""
    came: list[tuple[Any, bytes]] = []
    channel: Channel[Any] = Channel(kinds, lambda *one: came.append(one), lambda: None)
    pipe = Pipe()
    channel.connection_made(pipe)  # type: ignore[arg-type]
    for piece in pieces:
        before = len(came)
        was_closed = pipe.closed
        channel.data_received(piece)
        assert not was_closed or len(came) == before
    return came
