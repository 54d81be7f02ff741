"""The bytes of a zstd file, from the start of any of its frames."""

from __future__ import annotations

import io
from typing import Final

import pyarrow as pa

from penstock.errors import InputError
from penstock.sources.frozen_file import FrozenFile
from penstock.sources.restarts import Restarts

MOST_BYTES: Final = 1 << 20  # given out at once, however large the request


class ZstdSource:
    """One or more zstd frames, and skippable frames, which hold nothing for us.

    A frame is walked by its block headers while it is handed to the decompressor, for only so is
    its end, a restart point, known.
    """

    def __init__(self, file: FrozenFile, restart: tuple[int, int]) -> None:
        self._file = file
        self._restarts = Restarts(restart)
        self._offset = restart[1]
        self._frame: pa.CompressedInputStream | None = None
        file.seek(restart[0])

    def read(self, size: int, /) -> bytes:
        while True:
            if self._frame is None:
                if self._file.position == self._file.size:
                    return b""
                self._restarts.add(self._file.position, self._offset)
                self._frame = self._open_frame()
                continue
            try:
                data: bytes = self._frame.read(min(size, MOST_BYTES))
            except OSError as error:
                raise broken_zstd(self._file, f"is broken: {error}") from None
            if data:
                self._offset += len(data)
                return data
            self._frame = None

    def _open_frame(self) -> pa.CompressedInputStream | None:
        """A stream of the frame at hand; None for a skippable one, which is passed over."""
        head = take(self._file, 4)
        if head[1:] == b"\x2a\x4d\x18" and head[0] >> 4 == 5:
            length = int.from_bytes(take(self._file, 4), "little")
            if length > self._file.size - self._file.position:
                raise broken_zstd(self._file, "is cut short")
            self._file.seek(self._file.position + length)
            return None
        if head != b"\x28\xb5\x2f\xfd":
            raise broken_zstd(self._file, "is broken: no frame begins here")
        return pa.CompressedInputStream(pa.PythonFile(_Frame(self._file, head), "r"), "zstd")

    def restart_before(self, offset: int) -> tuple[int, int]:
        return self._restarts.before(offset)

    def close(self) -> None:
        self._file.close()


class _Frame(io.RawIOBase):
    """The bytes of one zstd frame, block by block (RFC 8878, 3.1.1); `head` is its magic number."""

    def __init__(self, file: FrozenFile, head: bytes) -> None:
        self._file = file
        self._ready = head + self._header()
        self._last = False

    def _header(self) -> bytes:
        descriptor = take(self._file, 1)
        flags = descriptor[0]
        single_segment = flags >> 5 & 1
        self._checksum_bytes = 4 * (flags >> 2 & 1)
        content_size_bytes = (single_segment, 2, 4, 8)[flags >> 6]
        dictionary_bytes = (0, 1, 2, 4)[flags & 3]
        return descriptor + take(
            self._file, (1 - single_segment) + dictionary_bytes + content_size_bytes
        )

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if not self._ready and not self._last:
            self._ready = self._block()
        given, self._ready = self._ready[:size], self._ready[size:]
        return given

    def _block(self) -> bytes:
        header = take(self._file, 3)
        bits = int.from_bytes(header, "little")
        self._last = bool(bits & 1)
        length = 1 if bits >> 1 & 3 == 1 else bits >> 3
        tail = self._checksum_bytes if self._last else 0
        return header + take(self._file, length + tail)


def take(file: FrozenFile, count: int) -> bytes:
    """Exactly `count` bytes of a zstd file. Raises InputError if they aren't there."""
    data = file.read(count) if count else b""
    while len(data) < count:
        more = file.read(count - len(data))
        if not more:
            raise broken_zstd(file, "is cut short")
        data += more
    return data


def broken_zstd(file: FrozenFile, what: str) -> InputError:
    """The error for zstd data that can't be read."""
    return InputError(
        f"{file.name}: the zstd data {what}, near byte {file.position:,}",
        "Fetch or make the file anew; `zstd -t` checks it.",
    )
