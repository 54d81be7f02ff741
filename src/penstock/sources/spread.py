"""A sample of records from all over an input, from one pass over it.

One record of each stretch of rows, drawn at random, so that neither an input's order nor a period
in it makes the sample another than the whole. How many rows there are is not known before: where
too many records are kept, stretches are joined in pairs, and one of two is kept. So memory is that
of twice the sample.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Final, NamedTuple

from penstock.record import Record
from penstock.sources.frozen import FrozenInput
from penstock.sources.inputs import Inputs
from penstock.sources.record import records_of
from penstock.sources.shard import Cursor

SHARD_ROWS: Final = 1000
SEED: Final = 1  # the same input gives the same sample


class Spread(NamedTuple):
    """A sample, and what the pass over the input saw."""

    records: list[Record]  # ascending
    rows: int  # that were passed
    complete: bool  # whether those are all
    share: float  # of the input's bytes, 0..1; 1 where complete

    @property
    def rows_about(self) -> int:
        """How many rows the input has, judged by its bytes where it was not read to its end."""
        return self.rows if self.complete or not self.share else round(self.rows / self.share)


class Stretches:
    """Keeps one record of each stretch of rows; `most` is exceeded no more than twice."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._random = random.Random(SEED)
        self._rows = 1  # of a stretch
        self._next = 0  # the row to be taken next
        self._kept: list[Record] = []

    def wanted(self, end: int) -> Iterator[int]:
        """The rows to take of those before `end`, each once."""
        while self._next < end:
            yield self._next
            following = (self._next // self._rows + 1) * self._rows
            self._next = following + self._random.randrange(self._rows)

    def add(self, records: Iterator[Record]) -> None:
        """Take in what was wanted."""
        self._kept.extend(records)
        while len(self._kept) >= 2 * self._most:
            self._rows *= 2
            stretches = groupby(self._kept, key=lambda record: record.row // self._rows)
            self._kept = [self._random.choice(list(some)) for _, some in stretches]

    def sample(self) -> list[Record]:
        """At most `most` records, evenly from all that are kept."""
        kept, most = self._kept, min(self._most, len(self._kept))
        return [kept[place * len(kept) // most] for place in range(most)]


def spread(
    inputs: Inputs,
    records: int,
    *,
    id_column: str | None = None,
    limit: int | None = None,
    enough: Callable[[], bool] = lambda: False,
) -> Spread:
    """At most `records` records from all over the first `limit` rows of an input.

    The pass ends early once `enough` says so. Raises InputError where a file can't be read.
    """
    stretches = Stretches(records)
    rows, cursor = 0, Cursor()
    for shard in inputs.shards(rows=SHARD_ROWS):
        end = shard.next.row if limit is None else min(limit, shard.next.row)
        wanted = set(stretches.wanted(end))
        if wanted:
            stretches.add(records_of(shard, id_column, wanted))
        rows, cursor = end, shard.next
        if limit is not None and rows >= limit:
            break
        if enough():
            total = inputs.total_rows
            share = rows / total if total else bytes_share(inputs.frozen, cursor)
            return Spread(stretches.sample(), rows, share >= 1.0, share)
    return Spread(stretches.sample(), rows, True, 1.0)


def bytes_share(frozen: list[FrozenInput], cursor: Cursor) -> float:
    """The part of the inputs' bytes that is before a cursor; 0 where no sizes are known."""
    sizes = [max(0, one.size) for one in frozen]
    if not sum(sizes):
        return 0.0
    here = cursor.offset
    if frozen[cursor.file].compression:
        packed = cursor.restart / cursor.restart_offset if cursor.restart_offset else 0.0
        here = int(cursor.offset * packed)
    return min(1.0, (sum(sizes[: cursor.file]) + here) / sum(sizes))
