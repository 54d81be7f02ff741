"""The one door through which a run changes the disk, and reads its own files.

Every open, read, write, fsync, rename and unlink in a run directory is a method of `Disk`, so that
a test can record their order or make one fail, and so that an error is turned into words in one
place. `Disk.system` makes the calls themselves.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
from pathlib import Path
from typing import ClassVar, Final

from penstock.errors import DiskFull, LedgerError
from penstock.system import System

# On macOS fsync() leaves the data in the drive's cache; F_FULLFSYNC empties that too.
FULL_FSYNC: Final[int | None] = (
    getattr(fcntl, "F_FULLFSYNC", None) if sys.platform == "darwin" else None
)
NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)
NOT_SUPPORTED: Final = (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY)
NOT_THERE: Final = (errno.ENOENT, errno.ENOTDIR)


class Disk:
    """What a run does to the disk; raises DiskFull or LedgerError, naming the file."""

    system: ClassVar[System] = System()

    def __init__(self) -> None:
        self._paths: dict[int, Path] = {}

    # --- files ------------------------------------------------------------------------------------

    def open_new(self, path: Path) -> int:
        """A descriptor to write `path`, which must not exist yet."""
        return self._open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def open_kept(self, path: Path) -> int:
        """A descriptor to read and write `path`, which is made where it does not exist."""
        return self._open(path, os.O_RDWR | os.O_CREAT)

    def open_log(self, path: Path) -> int:
        """A descriptor to write at the end of `path`, which is made where it does not exist."""
        return self._open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def open_to_read(self, path: Path) -> int:
        """A descriptor to read `path`, which must exist."""
        return self._open(path, os.O_RDONLY)

    def close(self, fd: int) -> None:
        path = self._paths.pop(fd, None)
        try:
            self.system.close(fd)
        except OSError as error:
            raise failure("close", path, error) from error

    def let_go(self, fd: int) -> None:
        """Close a descriptor that was only read from: nothing of it can be lost."""
        with contextlib.suppress(LedgerError):
            self.close(fd)

    def read(self, fd: int, size: int, position: int) -> bytes:
        """`size` bytes from `position` on, or as many as there are."""
        found = b""
        try:
            while len(found) < size:
                more = self.system.read(fd, size - len(found), position + len(found))
                if not more:
                    break
                found = found + more if found else more
        except OSError as error:
            raise failure("read", self._paths.get(fd), error) from error
        return found

    def size(self, fd: int) -> int:
        try:
            return self.system.size(fd)
        except OSError as error:
            raise failure("read", self._paths.get(fd), error) from error

    def write(self, fd: int, data: bytes | memoryview, position: int | None = None) -> None:
        """Write all of `data`, at `position` or after the last write.

        After an error an unknown part of it is in the file.
        """
        view = memoryview(data)
        try:
            while view:
                written = self.system.write(fd, view, position)
                view = view[written:]
                position = None if position is None else position + written
        except OSError as error:
            raise failure("write to", self._paths.get(fd), error) from error

    def truncate(self, fd: int, size: int) -> None:
        """Cut a file off after `size` bytes."""
        try:
            self.system.truncate(fd, size)
        except OSError as error:
            raise failure("cut", self._paths.get(fd), error) from error

    def fsync(self, fd: int) -> None:
        """Make what was written durable. Once it has failed, the file can't be trusted again."""
        try:
            if FULL_FSYNC is None or not full_fsync(fd, FULL_FSYNC):
                self.system.fsync(fd)
        except OSError as error:
            raise failure("fsync", self._paths.get(fd), error) from error

    def fsync_file(self, path: Path) -> None:
        """Make an existing file's content durable."""
        fd = self._open(path, os.O_RDONLY)
        try:
            self.fsync(fd)
        finally:
            self.let_go(fd)

    # --- names ------------------------------------------------------------------------------------

    def fsync_dir(self, path: Path) -> None:
        """Make the names in a directory durable."""
        self.fsync_file(path)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, replacing what had it."""
        try:
            self.system.rename(source, target)
        except OSError as error:
            raise failure("rename", source, error) from error

    def link(self, source: Path, target: Path) -> None:
        """Give a file one more name, replacing what had it."""
        try:
            with contextlib.suppress(FileNotFoundError):
                self.system.unlink(target)
            self.system.link(source, target)
        except OSError as error:
            raise failure("link", source, error) from error

    def unlink(self, path: Path) -> None:
        """Remove a file; one that is gone already is fine."""
        try:
            with contextlib.suppress(FileNotFoundError):
                self.system.unlink(path)
        except OSError as error:
            raise failure("remove", path, error) from error

    def make_dir(self, path: Path) -> None:
        """Make a directory, and those above it, durably; one that exists is fine."""
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
        try:
            for folder in reversed(made):
                with contextlib.suppress(FileExistsError):
                    self.system.make_dir(folder)
        except OSError as error:
            raise failure("make", path, error) from error
        if not path.is_dir():
            raise failure("make", path, FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)))
        for folder in made:
            self.fsync_dir(folder.parent)
        if made and (above := made[-1].parent) != above.parent:
            # Its own name may be new: whoever made it may have been killed before that was synced.
            with contextlib.suppress(LedgerError):
                self.fsync_dir(above.parent)

    def remove_tree(self, path: Path) -> None:
        """Remove a directory with all that is in it."""
        for entry in self.entries(path):
            if entry.is_dir(follow_symlinks=False):
                self.remove_tree(path / entry.name)
            else:
                self.unlink(path / entry.name)
        try:
            self.system.remove_dir(path)
        except OSError as error:
            raise failure("remove", path, error) from error

    def entries(self, path: Path) -> list[os.DirEntry[str]]:
        """What is in a directory; nothing if it isn't there."""
        try:
            return self.system.entries(path)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise failure("read", path, error) from error

    # --- whole files ------------------------------------------------------------------------------

    def read_file(self, path: Path) -> bytes | None:
        """What is in a file; None where there is none."""
        try:
            fd = self.open_to_read(path)
        except LedgerError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in NOT_THERE:
                return None
            raise
        try:
            return self.read(fd, self.size(fd), 0)
        finally:
            self.let_go(fd)

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
            fd = self.system.open(path, flags)
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
