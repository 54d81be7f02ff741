"""Making records of a shard's payload: the worker's side of input, and that of every sample."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from functools import partial

from penstock.record import Record
from penstock.sources import batch_lines, columnar, csv, jsonl
from penstock.sources.shard import BATCH, COLUMNS, CSV, LINES, TSV, Shard

_Decoder = Callable[
    [bytes, int, str, int, str | None, Container[int] | None],
    Iterator[Record],
]

_DECODERS: dict[str, _Decoder] = {
    LINES: jsonl.records,
    BATCH: batch_lines.records,
    CSV: partial(csv.records, csv.GRAMMARS[CSV]),
    TSV: partial(csv.records, csv.GRAMMARS[TSV]),
    COLUMNS: columnar.records,
}


def records(
    shard_kind: str,
    payload: bytes,
    first_row: int,
    file: str,
    first_line: int,
    id_column: str | None = None,
    wanted: Container[int] | None = None,
) -> Iterator[Record]:
    """The records of a shard, in order: as many as its `rows`, or those in `wanted` only.

    The arguments are the shard's own. `id_column` is the column that names a record; without one,
    `id` or `custom_id` is taken where the record has it. `wanted` holds row numbers of the run. A
    row that can't be read is a record with a `problem`; nothing is raised for it.
    """
    return _DECODERS[shard_kind](payload, first_row, file, first_line, id_column, wanted)


def records_of(
    shard: Shard, id_column: str | None = None, wanted: Container[int] | None = None
) -> Iterator[Record]:
    """`records` of a shard that is at hand whole."""
    return records(
        shard.kind,
        shard.payload,
        shard.first_row,
        shard.file,
        shard.first_line,
        id_column,
        wanted,
    )
