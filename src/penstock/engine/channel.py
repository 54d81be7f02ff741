"""Framed messages over a socket pair: how supervisor and workers talk.

A frame is two little-endian 32-bit lengths, a message in MessagePack, and the payload of a shard,
raw. The reader hands on what has come as soon as a frame is whole, also after the peer died: what a
killed worker had written is read to the end. A peer that writes what is no frame is as good as
dead: the channel ends there, and nothing after it is read.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import msgspec

HEADER = struct.Struct("<II")
MOST_MESSAGE_BYTES = 256 << 20  # far above any; what claims more is no frame

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
        self._broken = False
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        start = 0
        while not self._broken and len(self._buffer) - start >= HEADER.size:
            message_size, payload_size = HEADER.unpack_from(self._buffer, start)
            body = start + HEADER.size
            end = body + message_size + payload_size
            if message_size > MOST_MESSAGE_BYTES:
                self._break_off()
                return
            if len(self._buffer) < end:
                break
            try:
                message = self._decoder.decode(bytes(self._buffer[body : body + message_size]))
            except (ValueError, RecursionError):
                self._break_off()
                return
            payload = bytes(self._buffer[body + message_size : end])
            start = end
            self._received(message, payload)
        del self._buffer[: len(self._buffer) if self._broken else start]

    def _break_off(self) -> None:
        """End the connection at once: what comes is garbage."""
        self._broken = True
        self._buffer.clear()
        if self._transport is not None:
            self._transport.abort()

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
