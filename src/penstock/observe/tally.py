"""The sum of all slabs, of living and dead workers.

A dead worker's counters and histograms are folded into a base before its slab is used again, so
that no sum ever falls; its gauges are dropped: what it had in flight is in flight no more.
"""

from __future__ import annotations

from operator import add

import msgspec

from penstock._core import HISTOGRAM_BUCKETS, Slab, quantile
from penstock.observe.slab_layout import (
    ERROR_CLASSES,
    GAUGES,
    REQUESTS_FIRST,
    RETRIES_FIRST,
    STARTED_FIRST,
    STATUS_CLASSES,
    SUCCESS,
    TOKEN_CELLS,
    C,
    H,
)


class Totals(msgspec.Struct):
    """Cells and histograms, summed over workers."""

    cells: list[int]
    histograms: list[list[int]]
    sums: list[int]  # of each histogram's values

    def __getitem__(self, cell: C) -> int:
        return self.cells[cell]

    def requests(self) -> int:
        """Attempts that ended."""
        return sum(self.cells[REQUESTS_FIRST:RETRIES_FIRST])

    def requests_by_class(self) -> dict[tuple[str, str], int]:
        """Attempts that ended, by (status class, error class), without those that never did."""
        pairs = ((status, error) for status in STATUS_CLASSES for error in ERROR_CLASSES)
        counts = self.cells[REQUESTS_FIRST:RETRIES_FIRST]
        return {pair: count for pair, count in zip(pairs, counts, strict=True) if count}

    def retries(self) -> int:
        """Retries, throttles not among them."""
        return sum(self.cells[RETRIES_FIRST:STARTED_FIRST])

    def retries_by_reason(self) -> dict[str, int]:
        """Retries by error class, zeros too."""
        counts = zip(ERROR_CLASSES, self.cells[RETRIES_FIRST:STARTED_FIRST], strict=True)
        return {reason: count for reason, count in counts if reason != SUCCESS}

    def tokens(self) -> dict[str, int]:
        """Tokens by type; the types are disjoint."""
        return {kind: self.cells[cell] for kind, cell in TOKEN_CELLS.items()}

    def request_seconds(self, q: float) -> float | None:
        """The q-quantile of how long requests took; None before the first."""
        counts = self.histograms[H.REQUEST_US]
        return quantile(counts, q) / 1e6 if any(counts) else None


def nothing() -> Totals:
    """Totals of no worker at all."""
    empty = [[0] * HISTOGRAM_BUCKETS for _ in H]
    return Totals([0] * STARTED_FIRST, empty, [0] * len(H))


def read(slab: Slab) -> Totals:
    """What one slab holds now."""
    return Totals(
        slab.counters()[:STARTED_FIRST],
        [slab.histogram(one) for one in H],
        [slab.total(one) for one in H],
    )


def summed(left: Totals, right: Totals) -> Totals:
    """Cell by cell, both together."""
    return Totals(
        list(map(add, left.cells, right.cells)),
        [list(map(add, *pair)) for pair in zip(left.histograms, right.histograms, strict=True)],
        list(map(add, left.sums, right.sums)),
    )


def without_gauges(totals: Totals) -> Totals:
    """Only what a dead worker leaves behind; what it had in flight counts as spent, and lost."""
    cells = [0 if cell in GAUGES else value for cell, value in enumerate(totals.cells)]
    for cell in (C.SPENT_PUSD, C.LOST_PUSD):
        cells[cell] += totals[C.OPEN_PUSD]
    return Totals(cells, totals.histograms, totals.sums)


class Tally:
    """The slabs of a run's workers, and the base that its dead ones left."""

    def __init__(self) -> None:
        self._base = nothing()
        self._live: dict[int, Slab] = {}

    def attach(self, incarnation: int, slab: Slab) -> None:
        """Count a new worker's slab, which must be zero."""
        self._live[incarnation] = slab

    def retire(self, incarnation: int) -> None:
        """Keep what a worker counted. Only once it is dead, and before its slab is zeroed."""
        slab = self._live.pop(incarnation)
        self._base = summed(self._base, without_gauges(read(slab)))

    def totals(self) -> Totals:
        """The sums as of now."""
        totals = self._base
        for slab in self._live.values():
            totals = summed(totals, read(slab))
        return totals
