"""What a disk may hold after the power failed: the recorded calls up to there, and what was synced.

A file's bytes are sure once the file was fsynced, a name once its directory was. What was not may
be there or not: of bytes a part may be there, cut at a sector or anywhere, or zeros or anything in
their place; of names any of the changes, each for itself (a rename is one change). A name and what
is behind it are two things: the bytes may be there without the name, and the name with no bytes.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from penstock.system import System

SECTOR: Final = 512

# (what, then its arguments): descriptors are the numbers of their opening, paths relative to root.
Event = tuple[str, *tuple[object, ...]]


class RecordingSystem(System):
    """Passes all calls on, and writes down those that change what is below `root`.

    An fsync is only written down: what the disk would hold is made from `events`.
    """

    def __init__(self, root: Path) -> None:
        self.events: list[Event] = []
        self._root = root
        self._opened: dict[int, int] = {}
        self._number = 0

    def open(self, path: Path, flags: int) -> int:
        is_new = not path.exists()
        fd = super().open(path, flags)
        if not path.is_relative_to(self._root):
            return fd
        self._number += 1
        self._opened[fd] = self._number
        self.events.append(("open", self._number, self._name(path), is_new))
        return fd

    def close(self, fd: int) -> None:
        self._opened.pop(fd, None)
        super().close(fd)

    def write(self, fd: int, data: memoryview, position: int | None) -> int:
        start = os.lseek(fd, 0, os.SEEK_CUR) if position is None else position
        written = super().write(fd, data, position)
        self.events.append(("write", self._opened[fd], start, bytes(data[:written])))
        return written

    def truncate(self, fd: int, size: int) -> None:
        super().truncate(fd, size)
        self.events.append(("truncate", self._opened[fd], size))

    def fsync(self, fd: int) -> None:
        if fd in self._opened:
            self.events.append(("fsync", self._opened[fd], os.fstat(fd).st_mtime_ns))

    def lose(self, fd: int) -> None:
        """An fsync failed: no later one makes what was lost durable, though it says so."""
        self.events.append(("lose", self._opened[fd]))

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self.events.append(("rename", self._name(source), self._name(target)))

    def link(self, source: Path, target: Path) -> None:
        super().link(source, target)
        self.events.append(("link", self._name(source), self._name(target)))

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self.events.append(("unlink", self._name(path)))

    def make_dir(self, path: Path) -> None:
        super().make_dir(path)
        self.events.append(("make_dir", self._name(path)))

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._root))


class File:
    """A file's bytes: what is sure, and what was changed since; and the time of the last fsync."""

    def __init__(self, data: bytes = b"", modified_ns: int = 0) -> None:
        self.sure = data
        self.now = data
        self.modified_ns = modified_ns
        self.is_lost = False  # an fsync of it failed

    def write(self, start: int, data: bytes) -> None:
        grown = self.now.ljust(start, b"\0")
        self.now = grown[:start] + data + grown[start + len(data) :]

    def truncate(self, size: int) -> None:
        self.now = self.now[:size].ljust(size, b"\0")

    def fsync(self, modified_ns: int) -> None:
        self.sure = self.sure if self.is_lost else self.now
        self.modified_ns = modified_ns

    def put(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)
        os.utime(path, ns=(self.modified_ns, self.modified_ns))

    def after(self, chance: random.Random) -> bytes:
        """What may be found of it."""
        if self.now == self.sure:
            return self.sure
        return chance.choice((dropped, kept, torn, torn_anywhere, zeroed, garbled))(
            self.sure, self.now, chance
        )


class Folder:
    """A directory's names: those that are sure, and the changes since."""

    def __init__(self) -> None:
        self.sure: dict[str, File | Folder] = {}
        self.now: dict[str, File | Folder] = {}
        self.changes: list[dict[str, File | Folder | None]] = []

    def change(self, changed: dict[str, File | Folder | None]) -> None:
        self.changes.append(changed)
        apply(self.now, changed)

    def fsync(self, modified_ns: int = 0) -> None:
        self.sure, self.changes = dict(self.now), []

    def after(self, chance: random.Random) -> dict[str, File | Folder]:
        """Which names may be found."""
        names = dict(self.sure)
        share = chance.choice((0.0, 0.5, 0.9, 1.0))
        for changed in self.changes:
            if chance.random() < share:
                apply(names, changed)
        return names


class Model:
    """A file system that knows what is sure; `root` was there before and is."""

    def __init__(self) -> None:
        self.root = Folder()
        self._opened: dict[object, File | Folder] = {}

    @classmethod
    def of(cls, path: Path) -> Model:
        """What lies there, all of it sure."""
        model = cls()
        model.root = folder_of(path)
        return model

    def play(self, events: Iterable[Event]) -> None:
        for verb, *arguments in events:
            getattr(self, "_" + verb)(*arguments)

    def leave(self, path: Path, chance: random.Random) -> None:
        """Write down below `path` what may be found after the power failed now."""
        leave(self.root, path, chance)

    def files(self) -> dict[str, bytes]:
        """All files as they are now."""
        return dict(files(self.root, ""))

    def leave_all(self, path: Path) -> None:
        """Write down below `path` what is there now, as a kill leaves it."""
        leave_all(self.root, path)

    def _at(self, name: str) -> tuple[Folder, str]:
        folder = self.root
        *above, last = Path(name).parts or ("",)
        for part in above:
            inner = folder.now[part]
            assert isinstance(inner, Folder)
            folder = inner
        return folder, last

    def _open(self, number: int, name: str, is_new: bool) -> None:
        folder, last = self._at(name)
        if is_new:
            folder.change({last: File()})
        self._opened[number] = folder.now[last] if last else folder

    def _write(self, number: int, start: int, data: bytes) -> None:
        file = self._opened[number]
        assert isinstance(file, File)
        file.write(start, data)

    def _truncate(self, number: int, size: int) -> None:
        file = self._opened[number]
        assert isinstance(file, File)
        file.truncate(size)

    def _lose(self, number: int) -> None:
        file = self._opened[number]
        assert isinstance(file, File)
        file.is_lost = True

    def _fsync(self, number: int, modified_ns: int) -> None:
        self._opened[number].fsync(modified_ns)

    def _rename(self, source: str, target: str) -> None:
        (folder, old), (above, new) = self._at(source), self._at(target)
        assert folder is above, "nothing is moved between folders"
        folder.change({old: None, new: folder.now[old]})

    def _link(self, source: str, target: str) -> None:
        (folder, old), (above, new) = self._at(source), self._at(target)
        above.change({new: folder.now[old]})

    def _unlink(self, name: str) -> None:
        folder, last = self._at(name)
        folder.change({last: None})

    def _make_dir(self, name: str) -> None:
        folder, last = self._at(name)
        folder.change({last: Folder()})


def apply(names: dict[str, File | Folder], changed: dict[str, File | Folder | None]) -> None:
    for name, what in changed.items():
        if what is None:
            names.pop(name, None)
        else:
            names[name] = what


def folder_of(path: Path) -> Folder:
    folder = Folder()
    for entry in path.iterdir():
        folder.now[entry.name] = (
            folder_of(entry)
            if entry.is_dir()
            else File(entry.read_bytes(), entry.stat().st_mtime_ns)
        )
    folder.fsync()
    return folder


def leave(folder: Folder, path: Path, chance: random.Random) -> None:
    path.mkdir(exist_ok=True)
    for name, what in folder.after(chance).items():
        if isinstance(what, Folder):
            leave(what, path / name, chance)
        else:
            what.put(path / name, what.after(chance))


def leave_all(folder: Folder, path: Path) -> None:
    path.mkdir(exist_ok=True)
    for name, what in folder.now.items():
        if isinstance(what, Folder):
            leave_all(what, path / name)
        else:
            what.put(path / name, what.now)


def files(folder: Folder, name: str) -> Iterable[tuple[str, bytes]]:
    for inner, what in folder.now.items():
        if isinstance(what, Folder):
            yield from files(what, f"{name}{inner}/")
        else:
            yield name + inner, what.now


# --- what becomes of bytes that are not sure ------------------------------------------------------


def dropped(sure: bytes, now: bytes, chance: random.Random) -> bytes:
    return sure


def kept(sure: bytes, now: bytes, chance: random.Random) -> bytes:
    return now


def torn(sure: bytes, now: bytes, chance: random.Random) -> bytes:
    """Each sector for itself the old or the new one; of those that were not, zeros."""
    size = chance.choice((len(sure), len(now), chance.randint(*sorted((len(sure), len(now))))))
    old, new = sure.ljust(size, b"\0"), now.ljust(size, b"\0")
    parts = (
        chance.choice((old, new))[start : min(start + SECTOR, size)]
        for start in range(0, size, SECTOR)
    )
    return b"".join(parts)


def torn_anywhere(sure: bytes, now: bytes, chance: random.Random) -> bytes:
    """The new bytes up to some place, then the old ones, if there were any."""
    same = alike(sure, now)
    cut = chance.randint(same, max(same, len(now)))
    return now[:cut] + sure[cut:]


def zeroed(sure: bytes, now: bytes, chance: random.Random) -> bytes:
    """As long as it was to become, with zeros for what is new."""
    same = alike(sure, now)
    cut = chance.choice((same, chance.randint(same, max(same, len(now)))))
    return now[:cut].ljust(len(now), b"\0")


def garbled(sure: bytes, now: bytes, chance: random.Random) -> bytes:
    """What is new is anything; in an Arrow file perhaps what stands before it once more."""
    same = alike(sure, now)
    if not now.startswith(b"ARROW1"):
        return now[:same] + chance.randbytes(len(now) - same)
    return now[:same] + chance.choice((chance.randbytes(len(now) - same), now[:same]))


def alike(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
