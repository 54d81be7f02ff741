"""What passes between a worker and the governor of an endpoint, in shared memory.

A meter is what a worker counts of an endpoint, a grant is how many requests it may have in flight
there. Each word has one writer. Meters belong to a seat and outlive its worker, so their counters
never fall; what a dead worker had in flight is dropped, and its grant is dealt to others.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from penstock._core import Slab

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed import WriteableBuffer


class M(IntEnum):
    """The cells of a meter; all but the last are counters."""

    ANSWERS = 0
    THROTTLES = 1
    ERRORS = 2
    LATENCY_NS = 3  # summed over answers
    OUTPUT_TOKENS = 4
    HELD_NS = 5  # requests waited for a place
    PACED_NS = 6  # they waited for a ticket, because of requests per second
    IN_FLIGHT = 7


COUNTERS: Final = tuple(M)[:-1]


class Grants:
    """How many requests each seat may have in flight at each endpoint; the supervisor writes it."""

    def __init__(self, memory: WriteableBuffer, offset: int, seats: int, endpoints: int) -> None:
        self._words = Slab(memory, offset, seats * endpoints, 0)
        self._endpoints = endpoints

    @staticmethod
    def bytes_needed(seats: int, endpoints: int) -> int:
        return Slab.bytes_needed(seats * endpoints, 0)

    def give(self, seat: int, endpoint: int, places: int) -> None:
        """From now on so many."""
        self._words.set(seat * self._endpoints + endpoint, places + 1)

    def get(self, seat: int, endpoint: int) -> int | None:
        """How many; None where nobody has said."""
        told = self._words.get(seat * self._endpoints + endpoint)
        return told - 1 if told else None


def meter_bytes() -> int:
    """The size of a meter."""
    return Slab.bytes_needed(len(M), 0)


def open_meter(memory: WriteableBuffer, offset: int) -> Slab:
    """The meter at `offset` of shared memory."""
    return Slab(memory, offset, len(M), 0)


def summed(meters: Iterable[Slab]) -> list[int]:
    """The meters of an endpoint, cell by cell."""
    return [sum(cells) for cells in zip(*(meter.counters() for meter in meters), strict=True)]
