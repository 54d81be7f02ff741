"""A disk that processes die on and that loses power.

What was written outlives a process. Of what was not synced when the power fails, names and bytes,
an arbitrary part is lost: later names before earlier ones never, bytes dropped, torn or zeroed.
Files are real, so that what reads them is the real thing; beside them stands what is durable.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from penstock.disk import Disk
from torture.world.machine import Killed

Names = dict[Path, "Node"]


class Node:
    """A file's content, whatever its name."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.synced = 0

    def after_power_loss(self, dice: Random) -> bytes:
        kept, tail = bytes(self.data[: self.synced]), bytes(self.data[self.synced :])
        cut = dice.randrange(len(tail) + 1)
        return kept + dice.choice(
            [b"", tail, tail[:cut], bytes(len(tail)), tail[:cut] + bytes(len(tail) - cut)]
        )


class Platter:
    """What all processes of a machine write to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names: Names = {}
        self._durable: Names = {}
        self._unsynced: dict[Path, list[Callable[[Names], None]]] = {}  # by folder

    def change(self, folder: Path, change: Callable[[Names], None]) -> None:
        """A change of names, durable once its folder is synced."""
        change(self.names)
        self._unsynced.setdefault(folder, []).append(change)

    def sync_folder(self, folder: Path, count: int | None = None) -> None:
        for change in self._unsynced.pop(folder, [])[:count]:
            change(self._durable)

    def lose_power(self, dice: Random) -> None:
        """Everything is as a next boot may find it."""
        for folder in sorted(self._unsynced):
            self.sync_folder(folder, dice.randrange(len(self._unsynced[folder]) + 1))
        for path in self.names.keys() - self._durable.keys():
            path.unlink()
        for path, node in self._durable.items():
            node.data = bytearray(node.after_power_loss(dice))
            node.synced = len(node.data)
            path.unlink(missing_ok=True)
            path.write_bytes(node.data)
        self.names = dict(self._durable)

    def clear(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)


class ProcessDisk(Disk):
    """The disk as one process has it; `dies_in` so many operations its process is killed."""

    def __init__(self, platter: Platter, dice: Random, die: Callable[[], None]) -> None:
        super().__init__()
        self._platter = platter
        self._dice = dice
        self._die = die
        self._nodes: dict[int, Node] = {}
        self._dead = False
        self.dies_in: int | None = None

    def open_new(self, path: Path) -> int:
        self._step()
        fd = super().open_new(path)
        node = self._nodes[fd] = Node()
        self._platter.change(path.parent, lambda names: names.update({path: node}))
        return fd

    def write(self, fd: int, data: bytes | memoryview) -> None:
        whole = bytes(data)
        if self._is_last():
            self._append(fd, whole[: self._dice.randrange(len(whole) or 1)])
            self._end()
        self._append(fd, whole)

    def _append(self, fd: int, data: bytes) -> None:
        super().write(fd, data)
        self._nodes[fd].data += data

    def fsync(self, fd: int) -> None:
        self._step()
        path = self._paths[fd]
        if path.is_dir():
            self._platter.sync_folder(path)
        else:
            node = self._nodes.get(fd) or self._platter.names[path]
            node.synced = len(node.data)

    def close(self, fd: int) -> None:
        self._nodes.pop(fd, None)
        if fd in self._paths:
            super().close(fd)

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        super().rename(source, target)
        self._platter.change(target.parent, lambda names: names.update({target: names.pop(source)}))

    def link(self, source: Path, target: Path) -> None:
        self._step()
        super().link(source, target)
        self._platter.change(target.parent, lambda names: names.update({target: names[source]}))

    def unlink(self, path: Path) -> None:
        self._step()
        if path in self._platter.names:
            super().unlink(path)
            self._platter.change(path.parent, lambda names: names.pop(path) and None)

    def make_dir(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def abandon(self) -> None:
        """Its process is gone: what it held open is closed."""
        self._dead = True
        for fd in list(self._paths):
            super().close(fd)

    def _step(self) -> None:
        if self._is_last():
            self._end()

    def _is_last(self) -> bool:
        """Whether the process dies in this operation."""
        if self.dies_in is not None:
            self.dies_in -= 1
        return self._dead or self.dies_in == -1

    def _end(self) -> None:
        if not self._dead:
            self._die()
        raise Killed
