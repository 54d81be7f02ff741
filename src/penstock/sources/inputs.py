"""The inputs of a run: ordered, frozen, and read as one sequence of rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from penstock.errors import InputError
from penstock.record import Record
from penstock.sources.files import InputFile, freeze, names_of, open_input
from penstock.sources.first_pass import holds_batch_lines, schema_of_files
from penstock.sources.frozen import FrozenInput, compare
from penstock.sources.lines import MAX_LINE_BYTES
from penstock.sources.record import records_of
from penstock.sources.resolve import JSONL, STDIN, resolve
from penstock.sources.schema import InputSchema
from penstock.sources.shard import BATCH, LINES, Cursor, Shard
from penstock.sources.spool import Spool, open_spool

SHARD_BYTES: Final = 1 << 20


class Inputs:
    """The ordered, frozen inputs of a run.

    `frozen` is what `run.json` keeps of them; `batch_lines` says that they are OpenAI batch lines,
    as the first row of JSON lines that can be read does.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        frozen: Sequence[FrozenInput],
        *,
        spool: Spool | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        self.frozen = list(frozen)
        self.batch_lines = False
        self._paths = list(paths)
        self._spool = spool
        self._max_line_bytes = max_line_bytes
        self._counted: int | None = None
        self._schema: InputSchema | None = None
        if holds_batch_lines(self._files()):
            self._refuse_columns()
            self.batch_lines = True
        if next(self.shards(rows=1), None) is None:
            names = ", ".join(one.name for one in self.frozen[:3])
            raise InputError(f"the input is empty: no rows in {names}", "Name another.")

    @classmethod
    def open(
        cls,
        paths: Sequence[str],
        *,
        spool: Path | None = None,
        stdin: BinaryIO | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> Inputs:
        """Resolves, checks and freezes the inputs, in order.

        `-` is `stdin`, which is kept in the folder `spool`; without `stdin` what is kept there is
        read, as far as it goes. Raises InputError: nothing there, nothing in it, not readable.
        """
        found = resolve(paths)
        kept = open_spool(spool, stdin) if STDIN in found else None
        frozen = [freeze(path, name) for path, name in zip(found, names_of(found), strict=True)]
        return cls(found, frozen, spool=kept, max_line_bytes=max_line_bytes)

    def close(self) -> None:
        """Ends a wait for standard input in another thread, which raises InputError there."""
        if self._spool is not None:
            self._spool.close()

    def check(self, frozen: Sequence[FrozenInput]) -> None:
        """Checks that these are the inputs that a run froze, or have grown only at their end.

        Then `frozen` becomes what `run.json` is to keep from now on: shards before the growth come
        out as they did. Raises InputError, naming the file.
        """
        self.frozen = compare(list(frozen), self.frozen, self._paths)

    def shards(
        self, cursor: Cursor | None = None, *, rows: int, max_bytes: int = SHARD_BYTES
    ) -> Iterator[Shard]:
        """The shards from `cursor` (else the beginning) on, in row order.

        Each has at most `rows` rows, and at most `max_bytes` bytes unless a single row has more.
        For the same two sizes, any shard's `next` gives the shards that followed it. Raises
        InputError where a file can't be read to its end.
        """
        cursor = cursor or Cursor()
        for index, file in enumerate(self._files(cursor.file), cursor.file):
            if index != cursor.file:
                cursor = Cursor(file=index, row=cursor.row)
            for shard in file.shards(cursor, rows, max_bytes):
                yield shard
                cursor = shard.next

    def sample(self, rows: int) -> Iterator[Record]:
        """The first `rows` records."""
        shards = self.shards(rows=max(1, rows))
        return islice((record for shard in shards for record in records_of(shard)), rows)

    def record(self, row: int, id_column: str | None = None) -> Record:
        """The record of a row number. Raises InputError if there is none."""
        for shard in self.shards(rows=1000):
            if row < shard.next.row:
                return next(records_of(shard, id_column, {row}))
        raise InputError(f"row {row}: the input ends before it", "The first row is row 0.")

    def schema(self) -> InputSchema:
        """The columns and their types, from a first pass over 10,000 rows or 64 MiB in all.

        Every file has a share of the pass. Of standard input only what comes at once is read.
        """
        if self._schema is None:
            self._schema = schema_of_files(self._files(), len(self.frozen))
        return self._schema

    @property
    def total_rows(self) -> int | None:
        """How many rows there are, where that is known without reading them."""
        if self._counted is not None:
            return self._counted
        known = [one.rows for one in self.frozen if one.rows is not None]
        return sum(known) if len(known) == len(self.frozen) else None

    def count_rows(self, stop: threading.Event | None = None) -> int | None:
        """Counts the rows, reading everything once; for a thread in the background.

        None if `stop` was set first, or standard input has not come to its end: to wait for it here
        would spool it all. Raises InputError.
        """
        if self._spool is not None and not self._spool.complete:
            return None
        total = 0
        for file in self._files():
            count = file.count_rows(stop or threading.Event())
            if count is None:
                return None
            total += count
        self._counted = total
        return total

    def _files(self, first: int = 0) -> Iterator[InputFile]:
        """The inputs from the `first` on, each opened when its turn comes: there may be many."""
        for one, path in islice(zip(self.frozen, self._paths, strict=True), first, None):
            yield open_input(
                one,
                path,
                kind=BATCH if self.batch_lines else LINES,
                spool=self._spool,
                max_line_bytes=self._max_line_bytes,
            )

    def _refuse_columns(self) -> None:
        """Raises InputError where not all inputs can be batch lines."""
        odd = [one.name for one in self.frozen if one.format != JSONL]
        if odd:
            raise InputError(
                f"{odd[0]}: has columns, while the other inputs are OpenAI batch lines",
                "Run them as two jobs.",
            )
