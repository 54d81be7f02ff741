"""A file that appears under its name whole and durable, or not at all.

It is written under a temporary name in the folder of its target, so that the rename at the end
stays within one file system. The temporary name is the same for every export of a run: what a
killed export left behind is overwritten by the next, and does not pile up.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, Self, cast

from penstock.disk import Disk
from penstock.disk_stream import WriteStream

BUFFER_BYTES = 1 << 20


class OutputFile:
    """A target, and the temporary file that becomes it.

    `sink` takes the bytes. Then `finish` makes them durable and `publish` gives them their name. A
    context that is left without `publish` leaves the target as it was. Raises LedgerError where the
    disk fails.
    """

    def __init__(self, disk: Disk, target: Path, tag: str) -> None:
        self.disk = disk
        self.target = target
        self.temporary = target.with_name(f".{target.name}.{tag}.tmp")
        disk.unlink(self.temporary)
        self._descriptor = WriteStream(disk, disk.open_new(self.temporary))
        self.sink = cast(BinaryIO, io.BufferedWriter(self._descriptor, BUFFER_BYTES))

    def finish(self) -> None:
        """Makes what was written durable, still under the temporary name."""
        self.sink.flush()
        self.disk.fsync(self._descriptor.descriptor)
        self._descriptor.end()

    def publish(self) -> None:
        """Gives the finished file its name."""
        self.disk.rename(self.temporary, self.target)
        self.disk.fsync_dir(self.target.parent)

    def discard(self) -> None:
        """Removes what was written and not published."""
        self._descriptor.end()
        self.disk.unlink(self.temporary)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.discard()
