"""The spool's file: a zstd file of many frames, to which blocks are appended and synced.

Each frame is a block of the input, compressed by itself. Before it stands a skippable frame, which
every zstd reader passes over, with the block's sizes and checksum, to which its place belongs: so a
block can be verified, a torn one cut off, and decompression begin at any. A mark, a skippable frame
with sizes of zero, says that the input ended there; of one of the two kinds, that it went on later.

A block is synced before the next is written, so that only the last one can be torn.
"""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import xxhash

from penstock.disk import Disk
from penstock.errors import LedgerError

_MAGIC: Final = 0x184D2A5E  # a skippable frame (RFC 8878, 3.1.2)
_HEAD: Final = struct.Struct("<IIIIQ")  # magic, length of the rest, sizes packed and raw, xxh3
_REST_BYTES: Final = _HEAD.size - 8

# Of the input, in a block: far above what is written, for a head is read before it is checked.
_MOST_RAW: Final = 16 << 20

# What a mark has in place of a checksum; not zero, as the rest of a torn head may be.
_ENDED: Final = int.from_bytes(b"ended\0\0\0")
_WENT_ON: Final = int.from_bytes(b"went on\0")


class Head(msgspec.Struct, frozen=True):
    """What stands before a block, or is a mark."""

    packed: int  # bytes in the file
    raw: int  # bytes of the input; 0 for a mark
    checksum: int  # xxh3 of those; of a mark, its kind
    end: int  # the byte of the file after the block


class SpoolFile:
    """A spool's file, up to its last whole block. Raises LedgerError where the disk fails."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.path = path
        self.end = 0  # the byte of the file after what is whole
        self.raw_end = 0  # bytes of the input up to there
        self.marks: list[int] = []  # bytes of the input before each mark
        self.complete = False  # whether it ends with the mark of the input's end
        self._codec = pa.Codec("zstd", compression_level=1)
        self._file = -1
        self._disk = Disk()
        self._file = self._disk.open_kept(path) if writable else self._disk.open_to_read(path)
        self._scan()
        if writable:
            self._disk.truncate(self._file, self.end)
            # Who wrote the last block may have been killed before it was synced.
            self._disk.fsync(self._file)
            self._disk.fsync_dir(path.parent)
            self._disk.fsync_dir(path.parent.parent)

    def __del__(self) -> None:
        if self._file >= 0:
            self._disk.let_go(self._file)  # each block was synced as it was written

    def block(self, position: int) -> tuple[bytes, int]:
        """The block at `position`, empty for a mark, and where the next one begins."""
        head = self._head(position, self.end)
        data = None if head is None else self._data(position, head)
        if head is None or data is None:
            raise LedgerError(
                f"{self.path}: the block at byte {position:,} is damaged",
                "The disk may be failing; a copy of the run directory may have it whole.",
            )
        return data, head.end

    def append(self, data: bytes) -> None:
        """Writes a block, or for no data the mark of the input's end, and syncs it."""
        if not data:
            self._append(b"", 0, _ENDED)
        else:
            packed = self._codec.compress(data, asbytes=True)
            self._append(packed, len(data), checksum_at(self.end, data))

    def take_back(self, position: int, raw: int) -> None:
        """Drops the blocks from `position`, with `raw` bytes of the input before it.

        A mark in their place says that the input ended about there, and went on.
        """
        self.end, self.raw_end = position, raw
        self.marks = [mark for mark in self.marks if mark <= raw]
        self._append(b"", 0, _WENT_ON)

    def _append(self, packed: bytes, raw: int, checksum: int) -> None:
        head = _HEAD.pack(_MAGIC, _REST_BYTES, len(packed), raw, checksum)
        end = self.end + len(head) + len(packed)
        try:
            self._disk.write(self._file, head + packed, self.end)
            self._disk.truncate(self._file, end)
            self._disk.fsync(self._file)
        except LedgerError:
            # The next process would find the block in the page cache, and take it as durable.
            with contextlib.suppress(LedgerError):
                self._disk.truncate(self._file, self.end)
            raise
        self._count(Head(len(packed), raw, checksum, end))

    def _scan(self) -> None:
        """Finds the last block or mark that is whole."""
        size = self._disk.size(self._file)
        while (head := self._head(self.end, size)) is not None:
            is_last = self._head(head.end, size) is None
            if is_last and self._data(self.end, head) is None:
                break
            self._count(head)

    def _count(self, head: Head) -> None:
        if not head.raw:
            self.marks.append(self.raw_end)
        self.complete = not head.raw and head.checksum == _ENDED
        self.raw_end += head.raw
        self.end = head.end

    def _head(self, position: int, size: int) -> Head | None:
        """The head at `position` in a file of `size` bytes; None if its block isn't all there."""
        data = self._disk.read(self._file, _HEAD.size, position)
        if len(data) < _HEAD.size:
            return None
        magic, rest, packed, raw, checksum = _HEAD.unpack(data)
        end = position + _HEAD.size + packed
        whole = magic == _MAGIC and rest == _REST_BYTES and end <= size
        is_mark = checksum in (_ENDED, _WENT_ON)
        known = not packed and not raw if is_mark else packed and 0 < raw <= _MOST_RAW
        return Head(packed, raw, checksum, end) if whole and known else None

    def _data(self, position: int, head: Head) -> bytes | None:
        """What a block holds; None if its checksum says that it is damaged."""
        if not head.raw:
            return b""
        packed = self._disk.read(self._file, head.packed, position + _HEAD.size)
        try:
            data: bytes = self._codec.decompress(packed, head.raw, asbytes=True)
        except OSError:
            return None
        return data if checksum_at(position, data) == head.checksum else None


def checksum_at(position: int, data: bytes) -> int:
    """The checksum of a block: of its place, too, for another block may be found there."""
    return xxhash.xxh3_64_intdigest(data, seed=position)
