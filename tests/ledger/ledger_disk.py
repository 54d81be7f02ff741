"""Disks for tests: one that writes down what it does, and can be made to fail."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from penstock.disk import Disk, failure

Wrong = Callable[[str, Path], int | None]  # (what it is about to do, to which file) -> errno


class QuickDisk(Disk):
    """A disk for tests in which nothing crashes."""

    def fsync(self, fd: int) -> None:
        pass


class RecordingDisk(Disk):
    """A disk whose changes are in `steps`, as `verb name`; `wrong` says which of them fail."""

    def __init__(self, wrong: Wrong | None = None) -> None:
        super().__init__()
        self.steps: list[str] = []
        self.wrong = wrong or (lambda verb, path: None)

    def step(self, verb: str, path: Path) -> None:
        code = self.wrong(verb, path)
        if code is not None:
            raise failure(verb, path, OSError(code, errno.errorcode[code]))
        self.steps.append(f"{verb} {path.name}")

    def open_new(self, path: Path) -> int:
        self.step("open", path)
        return super().open_new(path)

    def write(self, fd: int, data: bytes | memoryview) -> None:
        self.step("write", self._paths[fd])
        super().write(fd, data)

    def fsync(self, fd: int) -> None:
        self.step("fsync", self._paths[fd])
        super().fsync(fd)

    def rename(self, source: Path, target: Path) -> None:
        self.step("rename", target)
        super().rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        self.step("link", target)
        super().link(source, target)

    def unlink(self, path: Path) -> None:
        self.step("unlink", path)
        super().unlink(path)


def failing(verb: str, name: str, code: int = errno.EIO) -> Wrong:
    """Every `verb` of a file called `name` fails."""
    return lambda done, path: code if (done, path.name) == (verb, name) else None


def dying_at(step: int) -> Wrong:
    """From the given step on (from 0) nothing works any more, as after a crash."""
    count = -1

    def wrong(verb: str, path: Path) -> int | None:
        nonlocal count
        count += 1
        return errno.EIO if count >= step else None

    return wrong
