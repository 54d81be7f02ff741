"""Whether workers end again and again with no row done in between: pure.

What comes from outside (SIGKILL, a hang) accuses no record, and a worker that fails where no record
is in flight accuses none either. So a record that makes the system kill its worker, or memory that
is enough to ask but not to write, would have rows bought again without end. A run that gets nowhere
stops instead, and names the rows that were in flight every time.
"""

from __future__ import annotations

from collections.abc import Iterable

FRUITLESS_CRASHES = 8
# Somebody may kill processes for no reason of ours: more of them, and always with a row in common.
FRUITLESS_KILLS = 12


class Stuck:
    """The deaths of workers since a row was last done."""

    def __init__(self) -> None:
        self._crashes = 0
        self._kills = 0
        self._rows: set[int] = set()

    @property
    def deaths(self) -> int:
        return self._crashes + self._kills

    @property
    def rows(self) -> list[int]:
        """The rows that were in flight whenever a worker was killed."""
        return sorted(self._rows)

    def progressed(self) -> None:
        """Some row was done."""
        self._crashes = self._kills = 0
        self._rows.clear()

    def crashed(self) -> bool:
        """A worker ended by itself, accusing no row; whether it is one too many."""
        self._crashes += 1
        return self._crashes >= FRUITLESS_CRASHES

    def killed(self, busy_with: Iterable[int]) -> bool:
        """A worker was killed while busy with these rows; whether it is one too many."""
        rows = set(busy_with)
        common = self._rows & rows if self._kills else rows
        self._kills = self._kills + 1 if common else 1
        self._rows = common or rows
        return bool(common) and self._kills >= FRUITLESS_KILLS
