"""Framed messages over a socket pair: how supervisor and workers talk.

A frame is two little-endian 32-bit lengths, a message in MessagePack, and the payload of a shard,
raw. The reader hands on what has come as soon as a frame is whole, also after the peer died: what a
killed worker had written is read to the end.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import msgspec

HEADER = struct.Struct("<II")

M = TypeVar("M")


class Channel(asyncio.Protocol, Generic[M]):
    """One end. `received(message, payload)` is called for each frame, `lost()` once at the end."""

    def __init__(
        self, kinds: Any, received: Callable[[M, bytes], None], lost: Callable[[], None]
    ) -> None:
        self._decoder: msgspec.msgpack.Decoder[M] = msgspec.msgpack.Decoder(kinds)
        self._encoder = msgspec.msgpack.Encoder()
        self._received = received
        self._lost = lost
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= HEADER.size:
            message_size, payload_size = HEADER.unpack_from(self._buffer, start)
            body = start + HEADER.size
            end = body + message_size + payload_size
            if len(self._buffer) < end:
                break
            message = self._decoder.decode(bytes(self._buffer[body : body + message_size]))
            payload = bytes(self._buffer[body + message_size : end])
            start = end
            self._received(message, payload)
        if start:
            del self._buffer[:start]

    def connection_lost(self, exception: Exception | None) -> None:
        self.closed = True
        self._lost()

    def send(self, message: msgspec.Struct, payload: bytes = b"") -> None:
        """Write a frame; a peer that is gone takes nothing and raises nothing."""
        if self.closed or self._transport is None or self._transport.is_closing():
            return
        body = self._encoder.encode(message)
        self._transport.write(HEADER.pack(len(body), len(payload)) + body + payload)

    def close(self) -> None:
        """Close after what was sent."""
        if self._transport is not None:
            self._transport.close()
