"""Standard input, kept in the run directory, for it can be read once only.

The spool is a zstd file of many frames. Each is a block of the input, compressed by itself, and
before it stands a skippable frame, which every zstd reader passes over, with the block's sizes and
checksum: so a block can be verified, a torn one cut off, and decompression begin at any. A last
skippable frame with sizes of zero says that the input ended here.

A block is synced before it can be read, so that no row is leased that a power loss could take back;
and before the next is written, so that only the last one can be torn.

What stdin gives when a run is resumed must begin with what is spooled: it is read against that, and
then on. A stdin that gives nothing is enough for a spool that is whole.
"""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
import pyarrow as pa
import xxhash

from penstock.errors import InputError, LedgerError
from penstock.sources.bytesource import Restarts

BLOCK_BYTES: Final = 256 << 10
STDIN_NAME: Final = "standard input"

_MAGIC: Final = 0x184D2A5E  # a skippable frame (RFC 8878, 3.1.2)
_HEAD: Final = struct.Struct("<IIIIQ")  # magic, length of the rest, sizes packed and raw, xxh3

_AGAIN = "Pass the same input again, from its beginning; or begin anew with --fresh."


class Block(msgspec.Struct, frozen=True):
    """One block of the spool."""

    data: bytes
    end: int  # the byte of the file after it


class Spool:
    """One spooled input. Without `stdin` it is only read, as far as it goes.

    Threads may read it at once; the one that comes to its end fetches the next block for all.
    Raises InputError where `stdin` is not what is spooled, LedgerError where the disk fails.
    """

    def __init__(self, path: Path, stdin: BinaryIO | None = None) -> None:
        self.path = path
        self._stdin = stdin
        self._lock = threading.Lock()
        self._codec = pa.Codec("zstd", compression_level=1)
        self._file = os.open(path, os.O_RDONLY if stdin is None else os.O_RDWR | os.O_CREAT, 0o644)
        self.end = 0  # of the last block that is whole
        self.complete = False
        self._scan()
        if stdin is not None:
            self._prepare(stdin)

    def read(self, position: int) -> Block | None:
        """The block at `position`, waited for if it has to come yet; None at the input's end."""
        if position >= self.end:
            with self._lock:
                while position >= self.end and self._stdin is not None and not self.complete:
                    self._extend(self._stdin)
        return self._block(position) if position < self.end else None

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)

    def _scan(self) -> None:
        """Finds the last whole block."""
        last = None
        while (head := self._head(self.end)) is not None:
            packed, raw, _ = head
            if not raw:
                self.complete = True
                break
            last = self.end
            self.end += _HEAD.size + packed
        if last is not None and not self.complete and self._verified(last) is None:
            self.end = last

    def _head(self, position: int) -> tuple[int, int, int] | None:
        """Packed size, raw size and checksum of the block at `position`; None if it isn't whole."""
        head = os.pread(self._file, _HEAD.size, position)
        if len(head) < _HEAD.size:
            return None
        magic, length, packed, raw, checksum = _HEAD.unpack(head)
        if magic != _MAGIC or length != _HEAD.size - 8:
            return None
        if position + _HEAD.size + packed > os.fstat(self._file).st_size:
            return None
        return packed, raw, checksum

    def _verified(self, position: int) -> Block | None:
        """The block at `position`, unless its checksum says that it is damaged."""
        head = self._head(position)
        if head is None:
            return None
        packed, raw, checksum = head
        start = position + _HEAD.size
        try:
            data = self._codec.decompress(os.pread(self._file, packed, start), raw, asbytes=True)
        except OSError:
            return None
        return Block(data, start + packed) if xxhash.xxh3_64_intdigest(data) == checksum else None

    def _block(self, position: int) -> Block:
        block = self._verified(position)
        if block is None:
            raise LedgerError(
                f"{self.path}: the block at byte {position:,} is damaged",
                "The disk may be failing; a copy of the run directory may have it whole.",
            )
        return block

    def _prepare(self, stdin: BinaryIO) -> None:
        """Makes the file ready to be written on, and reads stdin up to where it ends."""
        if not self.complete:
            os.ftruncate(self._file, self.end)
        sync_folder(self.path.parent)
        sync_folder(self.path.parent.parent)
        position = 0
        while position < self.end:
            block = self._block(position)
            given = read_fully(stdin, len(block.data)) if not stdin.isatty() else b""
            if not given and position == 0 and self.complete:
                return
            if given != block.data:
                raise InputError(f"{STDIN_NAME}: is not what this run began with", _AGAIN)
            position = block.end
        if self.complete and not stdin.isatty() and stdin.read(1):
            raise InputError(f"{STDIN_NAME}: goes on after where this run's input ended", _AGAIN)

    def _extend(self, stdin: BinaryIO) -> None:
        """Appends the next block of stdin, or the mark of its end, and syncs it."""
        data = read_fully(stdin, BLOCK_BYTES)
        packed = self._codec.compress(data, asbytes=True) if data else b""
        head = _HEAD.pack(
            _MAGIC, _HEAD.size - 8, len(packed), len(data), xxhash.xxh3_64_intdigest(data)
        )
        try:
            write_fully(self._file, head + packed, self.end)
            os.fsync(self._file)
        except OSError as error:
            self._stdin = None  # a failed fsync can't be made good by another
            raise LedgerError(
                f"{self.path}: {error.strerror}",
                "Make room, or mend the disk, then run the same command.",
            ) from None
        if data:
            self.end += _HEAD.size + len(packed)
        else:
            self.complete = True


def open_spool(folder: Path | None, stdin: BinaryIO | None) -> Spool:
    """The spool of standard input in `folder`. Raises InputError where there is none to read."""
    if folder is None:
        raise InputError(f"{STDIN_NAME}: can be read in a run only", "Name a file instead.")
    path = folder / "stdin.jsonl.zst"
    if stdin is not None:
        folder.mkdir(parents=True, exist_ok=True)
    elif not path.exists():
        raise InputError(f"{STDIN_NAME}: is not in {folder}", "Run the command that spools it.")
    return Spool(path, stdin)


class SpoolSource:
    """The bytes of a spool, from a restart point on."""

    def __init__(self, spool: Spool, restart: tuple[int, int]) -> None:
        self._spool = spool
        self._restarts = Restarts(restart)
        self._position, self._offset = restart
        self._ready = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        if not self._ready:
            block = self._spool.read(self._position)
            if block is None:
                return b""
            self._restarts.add(self._position, self._offset)
            self._position = block.end
            self._ready = memoryview(block.data)
        given = bytes(self._ready[:size])
        self._ready = self._ready[size:]
        self._offset += len(given)
        return given

    def restart_before(self, offset: int) -> tuple[int, int]:
        return self._restarts.before(offset)

    def close(self) -> None:
        """Nothing: the spool stays open for others."""


def read_fully(stdin: BinaryIO, size: int) -> bytes:
    """The next `size` bytes, fewer at the end only. Raises InputError."""
    data = b""
    try:
        while len(data) < size and (more := stdin.read(size - len(data))):
            data += more
    except OSError as error:
        raise InputError(f"{STDIN_NAME}: {error.strerror}", _AGAIN) from None
    return data


def write_fully(file: int, data: bytes, position: int) -> None:
    """Writes all of `data` at `position`. Raises OSError."""
    left = memoryview(data)
    while left:
        written = os.pwrite(file, left, position)
        left = left[written:]
        position += written


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder survive a power loss."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
