"""The calls to the operating system that a run's disk is made of, each as it is.

They raise OSError, and do no more than one step each: what is built of them, and the words for what
goes wrong, are `disk`'s. A test puts a twin in place of `Disk.system`, which fails the k-th call,
or writes down what would be left if the power failed there.
"""

from __future__ import annotations

import os
from pathlib import Path


class System:
    """What can be done to a disk."""

    def open(self, path: Path, flags: int) -> int:
        return os.open(path, flags | os.O_CLOEXEC, 0o644)

    def close(self, fd: int) -> None:
        os.close(fd)

    def read(self, fd: int, size: int, position: int) -> bytes:
        """At most `size` bytes from `position` on; none at the end."""
        return os.pread(fd, size, position)

    def write(self, fd: int, data: memoryview, position: int | None) -> int:
        """Write at `position`, else where the last write ended; returns how much was written."""
        return os.write(fd, data) if position is None else os.pwrite(fd, data, position)

    def size(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, replacing what had it."""
        source.replace(target)

    def link(self, source: Path, target: Path) -> None:
        target.hardlink_to(source)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def make_dir(self, path: Path) -> None:
        path.mkdir()

    def remove_dir(self, path: Path) -> None:
        path.rmdir()

    def entries(self, path: Path) -> list[os.DirEntry[str]]:
        """What is in a directory."""
        with os.scandir(path) as found:
            return list(found)
