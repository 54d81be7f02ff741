"""Cutting bytes into pieces of whole rows, without parsing any of them.

A row ends at a newline (for CSV, at one outside quotes). The last one needs none, and is a piece by
itself then, so that a piece never changes when the input goes on after its end. Blank lines are
no rows: between rows they stay in the piece, so that a row's line number can be counted from the
piece's first; before a piece's first row they are dropped.

A row longer than `max_line_bytes` is never held whole: a marker stands in its place, which begins
with NUL and so is neither JSON nor a plausible row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec
import xxhash

from penstock._core import count_lines, pass_lines

MAX_LINE_BYTES = 64 << 20
CHUNK_BYTES = 256 << 10

_BLANK = frozenset(b" \t\r\n\x0b\x0c")  # what bytes.isspace() accepts, as `is_blank` of the core
_TOO_LONG = re.compile(rb"\0row of (\d+) bytes, xxh3 [0-9a-f]{16}\r?\n?\Z")


class ByteSource(Protocol):
    """Decompressed bytes in order, up to where the input was frozen."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, and none at the end only."""


# (data, position) -> index of the newline that ends the row at `position`; -1: not in data.
RowEnd = Callable[[bytes, int], int]


class Piece(msgspec.Struct, frozen=True):
    """Some whole rows, and where they are in their file."""

    payload: bytes
    rows: int
    first_line: int  # of the first row, 1-based
    end_offset: int  # after the last row's newline
    end_line: int


def line_end(data: bytes, position: int) -> int:
    """Where a line ends: the `RowEnd` of everything but CSV."""
    return data.find(b"\n", position)


def too_long(line: bytes) -> str | None:
    """The problem that a marker line stands for; None for any other line."""
    found = _TOO_LONG.match(line) if line.startswith(b"\0") else None
    return f"the row is too long: {int(found[1]):,} bytes" if found else None


class Cutter:
    """Cuts one source into pieces of at most `rows` rows and `max_bytes` bytes.

    A row of more than `max_bytes` is a piece by itself. `offset` and `line` say where in its file
    the source begins. Iterating yields the pieces in order.
    """

    def __init__(
        self,
        source: ByteSource,
        *,
        rows: int,
        max_bytes: int,
        offset: int = 0,
        line: int = 1,
        max_line_bytes: int = MAX_LINE_BYTES,
        row_end: RowEnd = line_end,
    ) -> None:
        self._source = source
        self._rows = rows
        self._max_bytes = max_bytes
        self._max_line_bytes = max_line_bytes
        self._row_end = row_end
        self._data = b""
        self._ended = False
        # The piece that is being cut: its index into _data, and its place in the file.
        self._start = 0
        self._offset = offset
        self._line = line

    def __iter__(self) -> Iterator[Piece]:
        while (piece := self._next_piece()) is not None:
            yield piece

    def _next_piece(self) -> Piece | None:
        position = self._start
        rows = 0
        while rows < self._rows:
            if self._row_end is line_end:
                rows, position = self._pass_usual(rows, position)
                if rows == self._rows:
                    break
            end = self._row_end(self._data, position)
            following = end + 1
            if end < 0:
                held = len(self._data)
                if rows and held - self._start > self._max_bytes:
                    break  # the row has yet to end, but is too much for this piece already
                if not self._ended and held - position <= self._max_line_bytes:
                    position -= self._refill()
                    continue
                if rows or position == held:
                    break
                end = following = held
            if end - position > self._max_line_bytes:
                if rows:
                    break
                if (piece := self._pass_long_row()) is not None:
                    return piece
                position = self._start
                continue
            if rows and following - self._start > self._max_bytes:
                break
            if self._data[position] in _BLANK and self._data[position:following].isspace():
                if not rows:
                    self._advance(following)
            else:
                rows += 1
            position = following
        return self._take(position, rows) if rows else None

    def _pass_usual(self, rows: int, position: int) -> tuple[int, int]:
        """Passes over lines while nothing is odd: nearly all of them, so that it counts.

        `rows` rows of the piece are before `position`; returns both for after those lines. It stops
        at what has to be looked at: the end of the data, a line that may be blank or is long, the
        piece's size.
        """
        limit = min(self._start + self._max_bytes, len(self._data))
        if position >= limit:
            return rows, position
        passed, position = pass_lines(
            self._data, position, limit, self._rows - rows, self._max_line_bytes
        )
        return rows + passed, position

    def _refill(self) -> int:
        """Reads on, forgetting what is before the piece; returns how far indexes have moved."""
        moved = self._start
        # As much again as is held, so that a long row is copied a few times only.
        chunk = self._source.read(max(CHUNK_BYTES, len(self._data) - moved))
        self._data = self._data[moved:] + chunk
        self._ended = not chunk
        self._start = 0
        return moved

    def _advance(self, position: int) -> None:
        """Drops the bytes up to `position`, which hold no row."""
        self._line += count_lines(self._data, self._start, position)
        self._offset += position - self._start
        self._start = position

    def _take(self, position: int, rows: int) -> Piece:
        """The piece that ends before `position`."""
        payload = self._data[self._start : position]
        first_line = self._line
        self._advance(position)
        return Piece(payload, rows, first_line, self._offset, self._line)

    def _pass_long_row(self) -> Piece | None:
        """Reads to the newline that ends the long row at hand; None if it was a blank one."""
        first_line = self._line
        digest = xxhash.xxh3_64()
        size = 0
        blank = True
        while True:
            # A newline inside quotes ends it too: an open quote must not swallow the whole file.
            end = self._data.find(b"\n", self._start + max(0, self._max_line_bytes - size))
            stop = len(self._data) if end < 0 else end
            passed = self._data[self._start : stop]
            digest.update(passed)
            size += len(passed)
            blank = blank and (not passed or passed.isspace())
            self._advance(stop)
            if end >= 0:
                self._advance(end + 1)
                break
            if self._ended:
                break
            self._refill()
        if blank:
            return None
        marker = b"\0row of %d bytes, xxh3 %s\n" % (size, digest.hexdigest().encode())
        return Piece(marker, 1, first_line, self._offset, self._line)
