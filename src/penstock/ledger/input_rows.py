"""The input once more, for the export: read in shards, checked, and given out by ranges of rows.

The shards are cut as they were for the run, and each of which the ledger has a result must be what
its worker saw: a result never stands beside another record than the one it answers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from penstock.ledger.mark import ShardMark
from penstock.ledger.merge import RANGE_BYTES, RANGE_ROWS
from penstock.ledger.output_columns import OutputColumns
from penstock.sources.columns import batch_of, raw_fields
from penstock.sources.frozen import FrozenInput
from penstock.sources.shard import BATCH, LINES, Shard, check_unchanged


class InputRows:
    """The rows of `shards` in order, at hand from where `drop` was told to where `ahead` came.

    `marks` are the shards as the ledger knows them, by first row; `limit` ends the rows early.
    """

    def __init__(
        self, shards: Iterable[Shard], marks: Iterable[ShardMark], limit: int | None
    ) -> None:
        self._shards = iter(shards)
        self._marks = deque(sorted(marks))
        self._limit = limit
        self._held: deque[Shard] = deque()
        self._decoded: dict[int, pa.RecordBatch] = {}
        self._end = 0
        self._size_bytes = 0

    def ahead(self) -> int:
        """Reads on as far as fits in memory; the row up to which the input is at hand.

        At the input's end, or at the limit, it is no further than before. Raises InputError for an
        input that can't be read or has changed.
        """
        while not self._is_full() and (shard := next(self._shards, None)) is not None:
            self._check(shard)
            self._held.append(shard)
            self._size_bytes += len(shard.payload)
            self._end = shard.first_row + shard.rows
        return self._end if self._limit is None else min(self._end, self._limit)

    def columns(self, rows: Sequence[int], columns: OutputColumns) -> pa.Table:
        """The kept columns of `rows`, which ascend and are at hand. Raises Misfit."""
        parts = []
        for shard, wanted in self._by_shard(rows):
            batch = self._decode(shard, columns)
            if len(wanted) < shard.rows:
                batch = batch.take([row - shard.first_row for row in wanted])
            parts.append(batch)
        return pa.Table.from_batches(parts, columns.kept_schema)

    def raw(self, rows: Sequence[int]) -> Iterator[tuple[int, dict[str, Any] | None, bytes]]:
        """`rows`, which ascend and are at hand, as they stand in the input.

        Each is its row number, its columns, or None where it can't be read, and its bytes where
        those are JSON or it can't be read.
        """
        for shard, wanted in self._by_shard(rows):
            is_json = shard.kind in (LINES, BATCH)
            for row, fields, raw in raw_fields(shard, frozenset(wanted)):
                yield row, fields, raw if is_json or fields is None else b""

    def drop(self, below: int) -> None:
        """Lets go of the rows before `below`."""
        while self._held and self._held[0].first_row + self._held[0].rows <= below:
            shard = self._held.popleft()
            self._size_bytes -= len(shard.payload)
            self._decoded.pop(shard.first_row, None)

    def _is_full(self) -> bool:
        if self._limit is not None and self._end >= self._limit:
            return True
        held_rows = self._end - self._held[0].first_row if self._held else 0
        return held_rows >= RANGE_ROWS or self._size_bytes >= RANGE_BYTES

    def _check(self, shard: Shard) -> None:
        while self._marks and self._marks[0].first_row < shard.first_row + shard.rows:
            mark = self._marks.popleft()
            check_unchanged(shard, mark.rows, mark.checksum)

    def _by_shard(self, rows: Sequence[int]) -> Iterator[tuple[Shard, Sequence[int]]]:
        """The shards that hold some of `rows`, each with those that it holds."""
        for shard in self._held:
            start = bisect_left(rows, shard.first_row)
            end = bisect_left(rows, shard.first_row + shard.rows)
            if start < end:
                yield shard, rows[start:end]

    def _decode(self, shard: Shard, columns: OutputColumns) -> pa.RecordBatch:
        """A shard's kept columns; one that lies in two ranges is decoded once."""
        batch = self._decoded.get(shard.first_row)
        if batch is None:
            batch = batch_of(shard, columns.inputs, columns.kept)
            schema = columns.kept_schema
            if batch.schema != schema:
                arrays = [
                    without_encoding(column, field.type)
                    for column, field in zip(batch.columns, schema, strict=True)
                ]
                batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
            self._decoded[shard.first_row] = batch
        return batch


def without_encoding(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column as the plain type of its values."""
    try:
        return column.cast(kind)
    except pa.ArrowException:  # pyarrow 26 can't decode a dictionary under a null struct
        return pa.array(column.to_pylist(), kind)


def as_frozen(shards: Iterable[Shard], frozen: Sequence[FrozenInput]) -> Iterator[Shard]:
    """The shards of what a run froze, without what was appended to its inputs since.

    A shard ends where the frozen file did, so that none is cut in two. Only plain text grows.
    """
    for shard in shards:
        if shard.next.file >= len(frozen):
            return
        file = frozen[shard.next.file]
        is_plain_text = not file.compression and file.rows is None and file.size >= 0
        if is_plain_text and shard.next.offset > file.size:
            return
        yield shard
