"""The one door through which a run changes the disk.

Every open, write, fsync, rename and unlink in a run directory is a method of `Disk`, so that a test
can record their order or make one fail, and so that an error is turned into words in one place.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
from pathlib import Path
from typing import Final

from penstock.errors import DiskFull, LedgerError

# On macOS fsync() leaves the data in the drive's cache; F_FULLFSYNC empties that too.
FULL_FSYNC: Final[int | None] = (
    getattr(fcntl, "F_FULLFSYNC", None) if sys.platform == "darwin" else None
)
NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)
NOT_SUPPORTED: Final = (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY)


class Disk:
    """What a run does to the disk; raises DiskFull or LedgerError, naming the file."""

    def __init__(self) -> None:
        self._paths: dict[int, Path] = {}

    def open_new(self, path: Path) -> int:
        """A descriptor to write `path`, which must not exist yet."""
        return self._open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def write(self, fd: int, data: bytes | memoryview) -> None:
        """Write all of `data`; after an error an unknown part of it is in the file."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(fd, view) :]
        except OSError as error:
            raise failure("write to", self._paths.get(fd), error) from error

    def fsync(self, fd: int) -> None:
        """Make what was written durable. Once it has failed, the file can't be trusted again."""
        try:
            if FULL_FSYNC is None or not full_fsync(fd, FULL_FSYNC):
                os.fsync(fd)
        except OSError as error:
            raise failure("fsync", self._paths.get(fd), error) from error

    def close(self, fd: int) -> None:
        path = self._paths.pop(fd, None)
        try:
            os.close(fd)
        except OSError as error:
            raise failure("close", path, error) from error

    def fsync_file(self, path: Path) -> None:
        """Make an existing file's content durable."""
        fd = self._open(path, os.O_RDONLY)
        try:
            self.fsync(fd)
        finally:
            self.close(fd)

    def fsync_dir(self, path: Path) -> None:
        """Make the names in a directory durable."""
        self.fsync_file(path)

    def make_dir(self, path: Path) -> None:
        """Make a directory, and those above it, durably; one that exists is fine."""
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise failure("make", path, error) from error
        for folder in made:
            self.fsync_dir(folder.parent)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, replacing what had it."""
        try:
            source.replace(target)
        except OSError as error:
            raise failure("rename", source, error) from error

    def link(self, source: Path, target: Path) -> None:
        """Give a file one more name, replacing what had it."""
        try:
            target.unlink(missing_ok=True)
            target.hardlink_to(source)
        except OSError as error:
            raise failure("link", source, error) from error

    def unlink(self, path: Path) -> None:
        """Remove a file; one that is gone already is fine."""
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise failure("remove", path, error) from error

    def write_file(self, path: Path, data: bytes) -> None:
        """Write a new file and fsync it; what had its name is removed first."""
        self.unlink(path)
        fd = self.open_new(path)
        try:
            self.write(fd, data)
            self.fsync(fd)
        finally:
            self.close(fd)

    def replace_file(self, path: Path, data: bytes) -> None:
        """Put `data` in place of `path`, durably: afterwards it is the old or the new, whole."""
        temporary = path.with_name(path.name + ".new")
        try:
            self.write_file(temporary, data)
        except LedgerError:
            with contextlib.suppress(LedgerError):
                self.unlink(temporary)
            raise
        self.rename(temporary, path)
        self.fsync_dir(path.parent)

    def _open(self, path: Path, flags: int) -> int:
        try:
            fd = os.open(path, flags | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise failure("open", path, error) from error
        self._paths[fd] = path
        return fd


def full_fsync(fd: int, command: int) -> bool:
    """F_FULLFSYNC; False where the file system, or a directory, has no such thing."""
    try:
        fcntl.fcntl(fd, command)
    except OSError as error:
        if error.errno in NOT_SUPPORTED:
            return False
        raise
    return True


def failure(verb: str, path: Path | None, error: OSError) -> LedgerError:
    """The ledger's error for an operating system's error."""
    where = path if path is not None else "a file"
    if error.errno in NO_SPACE:
        return DiskFull(
            f"no space left: can't {verb} {where}",
            "Free some space, then run the same command: it resumes, and nothing is lost.",
        )
    return LedgerError(
        f"can't {verb} {where}: {error.strerror or error}",
        "Mend that, then run the same command: it resumes, and nothing is lost.",
    )
