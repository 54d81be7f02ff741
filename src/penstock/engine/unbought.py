"""What a worker need not buy: answers that are known, and requests that another row asks.

Known results stand on shelves (`ledger/known`). Of requests that are the same, the row that claims
theirs first is asked; the others are deferred: the worker drops them, and the supervisor leases
them once more when all rows have ended or were deferred. By then the claimed ones are on a shelf.
A claim is worth nothing by itself: one that is lost with its worker, or stands for two requests
whose hashes begin alike, only has a row wait for the next turn, in which it is asked if nothing is
known of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from penstock._core import Claims
from penstock.errors import LedgerError
from penstock.ledger.known import KnownResults, Shelf
from penstock.record import Result

KEY_DIGITS: Final = 16  # of a request hash, in hex: 64 bits
KEYS: Final = 1 << 64
TURN_STEP: Final = 0xD1B54A32D192ED03  # odd: each turn has keys of its own


class Unbought:
    """One for each worker of a job that asks for it; `claims` is None without --dedupe."""

    def __init__(self, shelves: Iterable[Shelf], claims: Claims | None, turn: int) -> None:
        self._shelves = {shelf.source: opened(shelf) for shelf in shelves}
        self._claims = claims
        self._turn = turn
        self._deferred: list[int] = []

    def know(self, shelf: Shelf, turn: int) -> None:
        """Look into this shelf from now on, in place of the one of its kind before it."""
        self._shelves[shelf.source] = opened(shelf)
        self._turn = turn

    def find(self, request_hash: str) -> tuple[Result, str] | None:
        """What is known of a request, and where it is from; None where nothing is."""
        for source, known in self._shelves.items():
            if (found := known.find(request_hash)) is not None:
                return found, source
        return None

    def claim(self, request_hash: str) -> bool:
        """Whether a row is the first to ask this; else another does."""
        if self._claims is None:
            return True
        key = (int(request_hash[:KEY_DIGITS], 16) + self._turn * TURN_STEP) % KEYS
        return self._claims.claim(key)

    def defer(self, row: int) -> None:
        """Leave a row for the next turn."""
        self._deferred.append(row)

    def take_deferred(self) -> list[int]:
        """The rows that were deferred since the last call."""
        rows, self._deferred = self._deferred, []
        return rows


def opened(shelf: Shelf) -> KnownResults:
    """A shelf to look into. Raises LedgerError where a file of it is gone."""
    try:
        return KnownResults(shelf)
    except OSError as error:
        raise LedgerError(
            f"{error.filename or shelf.index}: {error.strerror or error}",
            "What is reused has to stay where it is while the run goes on.",
        ) from None
