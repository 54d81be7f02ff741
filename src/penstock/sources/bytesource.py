"""The bytes of a file, decompressed, from any offset, and up to the size at which it was frozen.

Reading on in the middle of compressed input can begin only where the format has an independent
part: a gzip member (bgzip makes one per 64 KB, gzip itself one per file) or a zstd frame (zstd
makes one per file, pzstd and Penstock's own spool many). From the nearest one before, what was read
already is decompressed and dropped, unparsed. deflate state can't be saved from Python, and an
index of our own would need it; at some hundred MB/s, dropping costs seconds for what took hours to
answer.
"""

from __future__ import annotations

import io
import zlib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa

from penstock.errors import InputError

_READ_BYTES = 64 << 10
_MOST_BYTES = 1 << 20  # given out at once, however large the request


class Source(Protocol):
    """What a cutter reads from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, and none at the end only. Raises InputError."""

    def restart_before(self, offset: int) -> tuple[int, int]:
        """The last restart point not after `offset`: byte of the file, decompressed offset."""

    def close(self) -> None:
        """Closes the file."""


def open_source(
    path: Path,
    name: str,
    compression: str,
    size: int,
    offset: int = 0,
    restart: tuple[int, int] = (0, 0),
) -> Source:
    """The decompressed bytes of the first `size` bytes of a file, from `offset` on.

    `restart` is a restart point not after `offset`; `name` is for messages. Raises InputError.
    """
    kinds: dict[str, Callable[[FrozenFile, tuple[int, int]], Source]] = {
        "": PlainSource,
        "gz": GzipSource,
        "zst": ZstdSource,
    }
    source = kinds[compression](FrozenFile(path, name, size), restart)
    try:
        pass_over(source, offset - restart[1])
    except InputError:
        source.close()
        raise
    return source


def pass_over(source: Source, count: int) -> None:
    """Reads `count` bytes and drops them."""
    if isinstance(source, PlainSource):
        source.file.seek(source.file.position + count)
        return
    while count > 0 and (passed := source.read(min(count, _MOST_BYTES))):
        count -= len(passed)


class FrozenFile:
    """A file's first `size` bytes, whatever is appended meanwhile."""

    def __init__(self, path: Path, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self.position = 0
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise InputError(
                f"{name}: {error.strerror}", "Bring the file back, or make it readable."
            ) from None

    def seek(self, position: int) -> None:
        """Goes to a byte of the file."""
        self._file.seek(position)
        self.position = position

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the frozen end only. Raises InputError if bytes lack."""
        wanted = min(size, self.size - self.position)
        if wanted <= 0:
            return b""
        try:
            data = self._file.read(wanted)
        except OSError as error:
            raise InputError(f"{self.name}: {error.strerror}", "Check the disk.") from None
        if not data:
            raise InputError(
                f"{self.name}: was {self.size:,} bytes when the run began, "
                f"ends after {self.position:,} now",
                "Bring the input back as it was, or begin anew with --fresh.",
            )
        self.position += len(data)
        return data

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class Restarts:
    """The points passed while reading at which decompression could begin."""

    def __init__(self, first: tuple[int, int]) -> None:
        self._points = deque([first])

    def add(self, byte: int, offset: int) -> None:
        """At `byte` of the file begins what is at `offset` when decompressed."""
        self._points.append((byte, offset))

    def before(self, offset: int) -> tuple[int, int]:
        """The last point not after `offset`; the ones before it are forgotten."""
        while len(self._points) > 1 and self._points[1][1] <= offset:
            self._points.popleft()
        return self._points[0]


class PlainSource:
    """A file that isn't compressed: every byte is a restart point, so none needs to be kept."""

    def __init__(self, file: FrozenFile, restart: tuple[int, int]) -> None:
        self.file = file
        file.seek(restart[0])

    def read(self, size: int, /) -> bytes:
        return self.file.read(size)

    def restart_before(self, offset: int) -> tuple[int, int]:
        return (0, 0)

    def close(self) -> None:
        self.file.close()


class GzipSource:
    """One or more gzip members, with zero padding after them, as tape and disk tools leave it."""

    def __init__(self, file: FrozenFile, restart: tuple[int, int]) -> None:
        self._file = file
        self._restarts = Restarts(restart)
        self._offset = restart[1]
        self._input = b""
        self._inflate: zlib._Decompress | None = None  # between members
        file.seek(restart[0])

    def read(self, size: int, /) -> bytes:
        while True:
            inflate = self._inflate or self._next_member()
            if inflate is None:
                return b""
            if not self._input:
                self._input = self._file.read(_READ_BYTES)
            data = self._decompress(inflate, min(size, _MOST_BYTES))
            if data:
                self._offset += len(data)
                return data

    def _decompress(self, inflate: zlib._Decompress, size: int) -> bytes:
        at_end = not self._input
        try:
            data = inflate.decompress(self._input, size)
        except zlib.error as error:
            raise self._broken(f"is broken: {error}") from None
        if inflate.eof:
            self._input = inflate.unused_data
            self._inflate = None
        elif at_end and not data:
            raise self._broken("is cut short")
        else:
            self._input = inflate.unconsumed_tail
        return data

    def _next_member(self) -> zlib._Decompress | None:
        """Goes to the next member; None at the end of the file."""
        self._input = self._input.lstrip(b"\0")
        while not self._input:
            self._input = self._file.read(_READ_BYTES)
            if not self._input:
                return None
            self._input = self._input.lstrip(b"\0")
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._restarts.add(self._file.position - len(self._input), self._offset)
        return self._inflate

    def _broken(self, what: str) -> InputError:
        return InputError(
            f"{self._file.name}: the gzip data {what}, near byte {self._file.position:,}",
            "Fetch or make the file anew; `gzip -t` checks it.",
        )

    def restart_before(self, offset: int) -> tuple[int, int]:
        return self._restarts.before(offset)

    def close(self) -> None:
        self._file.close()


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
                data: bytes = self._frame.read(min(size, _MOST_BYTES))
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
