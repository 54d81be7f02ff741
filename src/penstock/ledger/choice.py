"""Which of several verified copies of a row counts: the one decision, for all who ask.

Within a generation the copy that was written first in the order of names counts, so that every
reader at any time picks the same, whatever order it reads in. Between generations a success beats a
failure: what a redo was paid for is not lost to a later failure. Between equals the later
generation counts, as its request is the one the user wanted.

The two rules must be applied one after the other. Compared pair by pair they can form a circle: a
failure that counts within generation 0 beats a success of that generation, which beats a failure of
generation 1, which beats the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Copy(NamedTuple):
    """A verified copy of a row: where it is, and how it ended."""

    generation: int
    succeeded: bool
    epoch: int
    worker: int  # the incarnation
    segment: int
    batch: int
    position: int = 0  # in the batch

    @property
    def place(self) -> tuple[int, int, int, int, int]:
        return self.epoch, self.worker, self.segment, self.batch, self.position


def choose(copies: Iterable[Copy]) -> Copy:
    """The copy that counts, of at least one."""
    first: dict[int, Copy] = {}
    for copy in copies:
        known = first.get(copy.generation)
        if known is None or copy.place < known.place:
            first[copy.generation] = copy
    return max(first.values(), key=lambda copy: (copy.succeeded, copy.generation))
