"""A disk that fails: once, at the k-th call, or from there on.

What fails leaves behind what a real one may: half of a write, a descriptor that is closed all the
same. A descriptor whose fsync failed may not be fsynced again, since the kernel would say yes to
what it has lost; that is held here, as the code under test can't see it.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final, NamedTuple

from penstock.system import System

EIO: Final = "EIO"
ENOSPC: Final = "ENOSPC"
SHORT: Final = "short"  # a write stops half way, and goes on when it is asked to
SHORT_FULL: Final = "short, then full"
DEAD: Final = "dead"  # nothing works any more
KINDS: Final = (EIO, ENOSPC, SHORT, SHORT_FULL, DEAD)

READS: Final = frozenset({"open to read", "size", "read", "entries"})


class Call(NamedTuple):
    """A call of the system: what it is, and of which file."""

    verb: str
    name: str

    @property
    def is_read(self) -> bool:
        return self.verb in READS


class FaultySystem(System):
    """Fails call number `at` of those that `reads` selects; the others are passed on.

    `calls` are those that were selected, `failed` the one that failed.
    """

    def __init__(self, at: int | None = None, kind: str = EIO, *, reads: bool = False) -> None:
        self.calls: list[Call] = []
        self.failed: Call | None = None
        self._at = at
        self._kind = kind
        self._reads = reads
        self._names: dict[int, str] = {}
        self._lost: set[int] = set()  # descriptors of which an fsync failed

    def open(self, path: Path, flags: int) -> int:
        writes = flags & (os.O_WRONLY | os.O_RDWR)
        self._call("open" if writes else "open to read", path.name)
        fd = super().open(path, flags)
        self._names[fd] = path.name
        return fd

    def close(self, fd: int) -> None:
        name = self._names.pop(fd, "?")
        self._lost.discard(fd)
        super().close(fd)
        self._call("close", name)

    def read(self, fd: int, size: int, position: int) -> bytes:
        self._call("read", self._names[fd])
        return super().read(fd, size, position)

    def write(self, fd: int, data: memoryview, position: int | None) -> int:
        try:
            self._call("write", self._names[fd])
        except Cut:
            data = data[: len(data) // 2]
        return super().write(fd, data, position)

    def size(self, fd: int) -> int:
        self._call("size", self._names[fd])
        return super().size(fd)

    def truncate(self, fd: int, size: int) -> None:
        self._call("truncate", self._names[fd])
        super().truncate(fd, size)

    def fsync(self, fd: int) -> None:
        assert fd not in self._lost, f"{self._names[fd]}: fsynced again after that failed"
        try:
            self._call("fsync", self._names[fd])  # a power loss is not what is tried here
        except OSError:
            self._lost.add(fd)
            raise

    def rename(self, source: Path, target: Path) -> None:
        self._call("rename", target.name)
        super().rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        self._call("link", target.name)
        super().link(source, target)

    def unlink(self, path: Path) -> None:
        self._call("unlink", path.name)
        super().unlink(path)

    def make_dir(self, path: Path) -> None:
        self._call("make_dir", path.name)
        super().make_dir(path)

    def remove_dir(self, path: Path) -> None:
        self._call("remove_dir", path.name)
        super().remove_dir(path)

    def entries(self, path: Path) -> list[os.DirEntry[str]]:
        self._call("entries", path.name)
        return super().entries(path)

    def _call(self, verb: str, name: str) -> None:
        """Count a call, and fail it if it is the one. Raises OSError, or Cut for half a write."""
        call = Call(verb, name)
        if self._kind == DEAD and self.failed is not None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if call.is_read != self._reads:
            return
        self.calls.append(call)
        number = len(self.calls) - 1
        if self._at is None or number < self._at:
            return
        if number == self._at:
            self.failed = call
            if self._kind in (SHORT, SHORT_FULL) and verb == "write":
                raise Cut
            raise self._error()
        if number == self._at + 1 and self._kind == SHORT_FULL:
            raise self._error()

    def _error(self) -> OSError:
        full = self._kind in (ENOSPC, SHORT_FULL) and not self._reads
        code = errno.ENOSPC if full else errno.EIO
        return OSError(code, os.strerror(code))


class Cut(Exception):
    """Raised where a write is to stop half way."""
