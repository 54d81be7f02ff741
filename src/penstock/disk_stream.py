"""A file of the disk as a Python stream, for Arrow's readers and writers, which want one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.disk import Disk

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class ReadStream(io.RawIOBase):
    """A file to be read from any place; a disk that fails raises LedgerError, through Arrow too."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self._position = 0
        self._descriptor = disk.open_to_read(path)
        self.size_bytes = disk.size(self._descriptor)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size_bytes}
        self._position = max(0, starts[whence] + offset)
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self.size_bytes - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        data = self._disk.read(self._descriptor, wanted, self._position)
        self._position += len(data)
        return data

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._disk.let_go(self._descriptor)


class WriteStream(io.RawIOBase):
    """A descriptor to be written to from its start.

    After `end` what is written goes nowhere: a writer that was dropped half way still says its last
    words when it is collected, and pyarrow's would fail at that.
    """

    def __init__(self, disk: Disk, descriptor: int) -> None:
        self.disk = disk
        self.descriptor = descriptor
        self._has_ended = False
        self._written_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        view = memoryview(data).cast("B")
        if not self._has_ended:
            self.disk.write(self.descriptor, view)
        self._written_bytes += len(view)
        return len(view)

    def tell(self) -> int:
        return self._written_bytes

    def end(self) -> None:
        """Closes the descriptor."""
        if not self._has_ended:
            self._has_ended = True
            self.disk.close(self.descriptor)
