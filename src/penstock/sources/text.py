"""An input of lines: JSON lines, batch lines, CSV or TSV, plain or compressed, cut into shards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import msgspec

from penstock.errors import InputError
from penstock.sources.bytesource import Source
from penstock.sources.csv import GRAMMARS, names_of
from penstock.sources.lines import CHUNK_BYTES, Cutter, Piece, RowEnd, line_end
from penstock.sources.shard import Cursor, Shard, checksum_of

_BOM = b"\xef\xbb\xbf"

# (offset, restart, end): the bytes from `offset` to `end`, or to the frozen end for None.
OpenSource = Callable[[int, tuple[int, int], int | None], Source]


class TextInput:
    """One file of lines.

    `cuts` are offsets at which a shard ends in any case: where the file ended for an earlier
    supervisor, whose shards must come out again as they were.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        opener: OpenSource,
        *,
        cuts: tuple[int, ...] = (),
        max_line_bytes: int,
    ) -> None:
        self.name = name
        self.kind = kind
        self._open = opener
        self._cuts = cuts
        self._max_line_bytes = max_line_bytes
        self._header: tuple[bytes, int, int] | None = None  # bytes, offset and line after it

    def shards(self, cursor: Cursor, rows: int, max_bytes: int) -> Iterator[Shard]:
        """The shards from `cursor` to the file's end. Raises InputError."""
        header, offset, line = self.header()
        if cursor.offset < offset:
            cursor = msgspec.structs.replace(cursor, offset=offset, line=line)
        else:
            self._check_row_begins(cursor)
        for end in (*(cut for cut in self._cuts if cut > cursor.offset), None):
            for piece, restart in self._pieces(cursor, end, rows, max_bytes):
                following = Cursor(
                    cursor.file, cursor.row + piece.rows, piece.end_offset, piece.end_line, *restart
                )
                yield Shard(
                    first_row=cursor.row,
                    rows=piece.rows,
                    kind=self.kind,
                    payload=header + piece.payload,
                    file=self.name,
                    first_line=piece.first_line,
                    checksum=checksum_of(piece.payload),
                    next=following,
                )
                cursor = following

    def _check_row_begins(self, cursor: Cursor) -> None:
        """Raises InputError if a row that was the last one is longer now than it was."""
        before = cursor.offset - 1
        if before < cursor.restart_offset:
            return  # where a frame begins; the spool sees to it that no row goes on there
        restart = (cursor.restart, cursor.restart_offset)
        with closing(self._open(before, restart, None)) as source:
            around = read_exactly(source, 2)
        if len(around) == 2 and b"\n" not in around:
            raise InputError(
                f"{self.name}: row {cursor.row - 1} (line {cursor.line}) is longer than it was",
                "Bring the input back as it was, or begin anew with --fresh.",
            )

    def _pieces(
        self, cursor: Cursor, end: int | None, rows: int, max_bytes: int
    ) -> Iterator[tuple[Piece, tuple[int, int]]]:
        """The pieces from `cursor` to `end`, each with the restart point nearest before its end."""
        restart = (cursor.restart, cursor.restart_offset)
        with closing(self._open(cursor.offset, restart, end)) as source:
            cutter = Cutter(
                source,
                rows=rows,
                max_bytes=max_bytes,
                offset=cursor.offset,
                line=cursor.line,
                max_line_bytes=self._max_line_bytes,
                row_end=self._row_end,
            )
            for piece in cutter:
                yield piece, source.restart_before(piece.end_offset)

    @property
    def _row_end(self) -> RowEnd:
        grammar = GRAMMARS.get(self.kind)
        return grammar.row_end if grammar else line_end

    def header(self) -> tuple[bytes, int, int]:
        """What stands before the rows: for CSV the header's record; offset and line after it.

        Raises InputError where a CSV header can't be used.
        """
        if self._header is None:
            self._header = self._read_header()
        return self._header

    def _read_header(self) -> tuple[bytes, int, int]:
        with closing(self._open(0, (0, 0), None)) as source:
            offset = len(_BOM) if read_exactly(source, len(_BOM)) == _BOM else 0
        grammar = GRAMMARS.get(self.kind)
        if grammar is None:
            return b"", offset, 1
        first = next(self._pieces(Cursor(offset=offset), None, 1, 1), None)
        if first is None:
            return b"", offset, 1
        piece = first[0]
        names_of(piece.payload, grammar, self.name)
        return piece.payload.rstrip(b"\r\n") + b"\n", piece.end_offset, piece.end_line

    def column_names(self) -> list[str]:
        """The columns that a CSV header names. Raises InputError."""
        header = self.header()[0]
        return names_of(header, GRAMMARS[self.kind], self.name) if header else []

    def count_rows(self, stop: threading.Event) -> int | None:
        """How many rows there are; None if `stop` was set before they were counted."""
        return (self._count_pieces if self.kind in GRAMMARS else self._count_lines)(stop)

    def _count_pieces(self, stop: threading.Event) -> int | None:
        count = 0
        for shard in self.shards(Cursor(), rows=1 << 20, max_bytes=CHUNK_BYTES):
            if stop.is_set():
                return None
            count += shard.rows
        return count

    def _count_lines(self, stop: threading.Event) -> int | None:
        """By splitting, which is several times faster than cutting."""
        count = 0
        unended = b""  # one byte in place of a line that has yet to end, none if that is blank
        with closing(self._open(self.header()[1], (0, 0), None)) as source:
            while chunk := source.read(CHUNK_BYTES):
                if stop.is_set():
                    return None
                lines = (unended + chunk).split(b"\n")
                last = lines.pop()
                unended = b"x" if last and not last.isspace() else b""
                count += len(lines) - lines.count(b"") - sum(map(bytes.isspace, lines))
        return count + len(unended)


def read_exactly(source: Source, size: int) -> bytes:
    """The next `size` bytes, fewer at the end only."""
    data = b""
    while len(data) < size and (more := source.read(size - len(data))):
        data += more
    return data
