"""The bytes of a file, decompressed, from any offset, and up to the size at which it was frozen.

Reading on in the middle of compressed input can begin only where the format has an independent
part: a gzip member (bgzip makes one per 64 KB, gzip itself one per file) or a zstd frame (zstd
makes one per file, pzstd and Penstock's own spool many). From the nearest one before, what was read
already is decompressed and dropped, unparsed. deflate state can't be saved from Python, and an
index of our own would need it; at some hundred MB/s, dropping costs seconds for what took hours to
answer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from penstock.errors import InputError
from penstock.sources.frozen_file import FrozenFile
from penstock.sources.gzip_source import GzipSource
from penstock.sources.zstd_source import ZstdSource

PASS_BYTES: Final = 1 << 20


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
    while count > 0 and (passed := source.read(min(count, PASS_BYTES))):
        count -= len(passed)


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
