"""Standard input, kept in the run directory, for it can be read once only.

A block is synced before it can be read, so that no row is leased that a power loss could take back.

What stdin gives when a run is resumed must begin with what is spooled: it is read against that, and
then on. It may go on after its end, too: Ctrl-C ends `cat rows | penstock run -` on both sides of
the pipe, which looks like the input's end. Blocks therefore hold whole lines where they can, and
what was left of a last line is taken back when the rest of it comes. A stdin that gives nothing is
enough for a spool that once came to the input's end.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import BinaryIO, Final

from penstock.disk import Disk
from penstock.errors import InputError, LedgerError
from penstock.sources.restarts import Restarts
from penstock.sources.spool_file import SpoolFile
from penstock.sources.stdin import STDIN_NAME, Stdin

BLOCK_BYTES: Final = 256 << 10
SPOOL_NAME: Final = "stdin.jsonl.zst"

_AGAIN = "Pass the same input again, from its beginning; or begin anew with --fresh."


class Spool:
    """One spooled input. Without `stream` it is only read, as far as it goes.

    Threads may read it at once; the one that comes to its end fetches the next block for all.
    Raises InputError where `stream` is not what is spooled, LedgerError where the disk fails.
    """

    def __init__(self, path: Path, stream: BinaryIO | None = None) -> None:
        self._file = SpoolFile(path, writable=stream is not None)
        self._lock = threading.Lock()
        self._goes_on = False  # after what looked like the input's end
        self._failure: LedgerError | None = None
        self._stdin = None if stream is None else Stdin(stream)
        if self._stdin is not None:
            self._follow(self._stdin)

    @property
    def complete(self) -> bool:
        """Whether it has come to the input's end."""
        return self._file.complete and not self._goes_on

    @property
    def cuts(self) -> tuple[int, ...]:
        """How many bytes the input had each time that it ended: shards end there in any case."""
        return tuple(self._file.marks)

    def read(self, position: int) -> tuple[bytes, int] | None:
        """The block at `position` and where the next begins; None at the input's end.

        Waits for stdin to give it. A mark of the input's end is an empty block.
        """
        if position >= self._file.end:
            with self._lock:
                while position >= self._file.end and self._stdin is not None and not self.complete:
                    self._extend(self._stdin)
        return self._file.block(position) if position < self._file.end else None

    def close(self) -> None:
        """Ends a wait for stdin in another thread, which raises InputError there."""
        if self._stdin is not None:
            self._stdin.give_up()

    def _follow(self, stdin: Stdin) -> None:
        """Reads stdin up to where the spool ends, and checks that it is the same."""
        position = raw = 0
        line = (0, 0, b"")  # the last line that has no newline yet: where it begins, its bytes
        while position < self._file.end:
            data, following = self._file.block(position)
            given = stdin.read(len(data))
            if data and not given and raw == 0 and self.complete:
                return
            if data and not given:
                raise InputError(
                    f"{STDIN_NAME}: ended before what this run has read of it already", _AGAIN
                )
            if given != data:
                raise InputError(f"{STDIN_NAME}: is not what this run began with", _AGAIN)
            position = following
            raw += len(data)
            if data.endswith(b"\n"):
                line = (position, raw, b"")
            else:
                line = (line[0], line[1], line[2] + data)
        if self.complete:
            self._go_on(stdin, *line)

    def _go_on(self, stdin: Stdin, position: int, raw: int, line: bytes) -> None:
        """Goes on after what looked like the end, if stdin does; `line` had no newline there."""
        more = stdin.read(1)
        if not more:
            return
        stdin.push_back(more)
        if line and more != b"\n":
            stdin.push_back(line)
            self._file.take_back(position, raw)
        self._goes_on = True

    def _extend(self, stdin: Stdin) -> None:
        """Appends the next block of stdin, or a mark at its end."""
        if self._failure is not None:
            raise self._failure  # a failed fsync can't be made good by another
        data = stdin.read(BLOCK_BYTES)
        whole_lines = data.rfind(b"\n") + 1
        if whole_lines:
            stdin.push_back(data[whole_lines:])
            data = data[:whole_lines]
        try:
            self._file.append(data)
        except LedgerError as error:
            self._failure = error
            raise
        self._goes_on = False


class SpoolSource:
    """The bytes of a spool, from a restart point on, up to `end`."""

    def __init__(self, spool: Spool, restart: tuple[int, int], end: int | None) -> None:
        self._spool = spool
        self._restarts = Restarts(restart)
        self._position, self._offset = restart
        self._end = end
        self._ready = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        if self._end is not None:
            size = min(size, self._end - self._offset)
        while not self._ready and size > 0:
            block = self._spool.read(self._position)
            if block is None:
                return b""
            if block[0]:
                self._restarts.add(self._position, self._offset)
            self._ready = memoryview(block[0])
            self._position = block[1]
        given = bytes(self._ready[:size])
        self._ready = self._ready[size:]
        self._offset += len(given)
        return given

    def restart_before(self, offset: int) -> tuple[int, int]:
        return self._restarts.before(offset)

    def close(self) -> None:
        """Nothing: the spool stays open for others."""


def open_spool(folder: Path | None, stream: BinaryIO | None) -> Spool:
    """The spool of standard input in `folder`. Raises InputError where there is none to read."""
    if folder is None:
        raise InputError(f"{STDIN_NAME}: can be read in a run only", "Name a file instead.")
    path = folder / SPOOL_NAME
    if stream is not None:
        Disk().make_dir(folder)
    elif not path.exists():
        raise InputError(f"{STDIN_NAME}: is not in {folder}", "Run the command that spools it.")
    return Spool(path, stream)
