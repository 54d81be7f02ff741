"""Which row killed a worker: a pure decider.

SIGKILL, SIGTERM and hangs come from outside and accuse nobody. A crash accuses the rows that were
started; they are asked for again in a worker of their own, halved after each further crash, and
only a row that kills it alone, twice, is condemned.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Container

import msgspec

from penstock.engine.leases import Grant, Ranges, count, split

ACCUSING_SIGNALS = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}
)
CRASHES_ALONE = 2


def accuses(exit_status: int, unhandled_exception: bool) -> bool:
    """Whether a worker's end accuses the rows it was busy with; `exit_status` as Popen gives it."""
    return unhandled_exception or (exit_status < 0 and -exit_status in ACCUSING_SIGNALS)


def parted(wanted: Ranges, accused: Container[int]) -> tuple[Ranges, Ranges]:
    """The accused rows and the others, both as ranges."""
    guilty: Ranges = []
    free: Ranges = []
    for start, end in wanted:
        for row in range(start, end):
            side = guilty if row in accused else free
            if side and side[-1][1] == row:
                side[-1] = (side[-1][0], row + 1)
            else:
                side.append((row, row + 1))
    return guilty, free


class Suspects(msgspec.Struct, frozen=True):
    """Rows of one shard under suspicion together, and how often they crashed a worker alone."""

    grant: Grant
    wanted: Ranges
    crashes: int = 0


class Quarantine:
    """The rows that are asked for apart, group by group."""

    def __init__(self) -> None:
        self._groups: deque[Suspects] = deque()
        self.current: Suspects | None = None

    def __bool__(self) -> bool:
        return self.current is not None or bool(self._groups)

    def accuse(self, grant: Grant, wanted: Ranges) -> None:
        """Put rows of a crashed worker under suspicion."""
        if wanted:
            self._groups.append(Suspects(grant, wanted))

    def next(self) -> Suspects | None:
        """The group to ask for now; None while one is being asked for, or when there is none."""
        if self.current is not None or not self._groups:
            return None
        self.current = self._groups.popleft()
        return self.current

    def cleared(self) -> None:
        """The current group was answered without a crash."""
        self.current = None

    def interrupted(self, left: Ranges) -> None:
        """The quarantine worker ended for no fault of the rows: ask for what is left again."""
        group, self.current = self.current, None
        if group is not None and left:
            self._groups.appendleft(msgspec.structs.replace(group, wanted=left))

    def crashed(self, left: Ranges) -> Suspects | None:
        """The quarantine worker crashed with `left` unanswered.

        Returns the one row to condemn, if any.
        """
        group, self.current = self.current, None
        if group is None or not left:
            return None
        if count(left) == 1:
            alone = msgspec.structs.replace(group, wanted=left, crashes=group.crashes + 1)
            if alone.crashes >= CRASHES_ALONE:
                return alone
            self._groups.appendleft(alone)
            return None
        for half in reversed(split(left)):
            self._groups.appendleft(Suspects(group.grant, half))
        return None
