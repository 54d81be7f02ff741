"""Who holds which rows: the lease table, a pure decider.

Rows reach it as shards, go out as leases as far as workers gave credit, and leave it when they are
committed. What a dead worker leaves comes back, and is leased before anything fresh. It keeps the
payload of every shard that is not wholly committed, so nothing is read from the input twice in a
run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from penstock.ledger.rows import RowSet
from penstock.sources.shard import Shard

# Leased and not committed, beyond the records that fill the slots: what a worker at full speed
# takes from one sync to the next.
HELD_BYTES_PER_WORKER = 16 << 20
LEAST_WORKERS = 2  # that bound is for so many at least

Ranges = list[tuple[int, int]]  # half-open, ascending


class Grant(msgspec.Struct, frozen=True):
    """A lease to send: these rows of this shard to this worker."""

    lease: int
    worker: int
    shard: Shard
    wanted: Ranges
    condemned: str | None = None

    @property
    def rows(self) -> int:
        return count(self.wanted)

    def of(self, wanted: Ranges) -> Grant:
        """The same lease of fewer rows."""
        return msgspec.structs.replace(self, wanted=wanted)


class Waiting(msgspec.Struct, frozen=True):
    """Rows that no worker holds."""

    shard: Shard
    wanted: Ranges
    condemned: str | None = None


class LeaseTable:
    """Which worker holds what; `done` is the run's set of committed rows, which others add to.

    `slots` are those of all workers together, and may be changed. A request is for so many rows
    `at_once`: no lease is cut to fewer.
    """

    def __init__(self, done: RowSet, slots: int = 0, at_once: int = 1) -> None:
        self._done = done
        self._at_once = at_once
        self.slots = slots
        self._waiting: deque[Waiting] = deque()
        self._credit: dict[int, int] = {}
        self._held: dict[int, list[Grant]] = {}
        self._held_bytes: dict[int, int] = {}  # by worker: of rows not committed, about
        self._held_rows: dict[int, int] = {}  # likewise
        self._leases = 0
        self.deferred = RowSet()  # that are left for another turn, and nobody's until then

    def add_worker(self, worker: int) -> None:
        """A worker is ready, without credit yet."""
        self._credit[worker] = 0
        self._held[worker] = []
        self._held_bytes[worker] = self._held_rows[worker] = 0

    def add_shard(self, shard: Shard, wanted: Ranges) -> None:
        """Fresh rows to lease; those done already are left out."""
        ranges = self._undone(wanted)
        if ranges:
            self._waiting.append(Waiting(shard, ranges))

    def condemn(self, shard: Shard, row: int, reason: str) -> None:
        """Lease a row only to be written as a dead letter."""
        self._waiting.appendleft(Waiting(shard, [(row, row + 1)], reason))

    def give_credit(self, worker: int, rows: int) -> None:
        """A worker can take more rows."""
        if worker in self._credit:
            self._credit[worker] += rows

    def grants(self) -> list[Grant]:
        """The leases that can be sent now, the worker with most credit first.

        Where fewer rows wait than there is credit for, as at a run's end, all workers get a part:
        else one would queue what the free slots of another could send.
        """
        granted = []
        most = self._fair_share()
        while self._waiting and self._credit:
            worker = max(self._credit, key=self._credit.__getitem__)
            if self._credit[worker] <= 0:
                break
            waiting = self._waiting.popleft()
            wanted, rest = cut(waiting.wanted, most)
            if rest:
                self._waiting.appendleft(msgspec.structs.replace(waiting, wanted=rest))
                waiting = msgspec.structs.replace(waiting, wanted=wanted)
            granted.append(self._grant(worker, waiting))
        return granted

    def grant_to(self, worker: int, shard: Shard, wanted: Ranges) -> Grant:
        """Lease rows to one worker whatever its credit (the quarantine's way)."""
        return self._grant(worker, Waiting(shard, wanted))

    def defer(self, worker: int, rows: Iterable[int]) -> None:
        """A worker dropped rows that another turn is to see."""
        for row in rows:
            self.deferred.add(row)
        self.settle(worker)

    def settle(self, worker: int | None = None) -> None:
        """Forget the leases whose rows are all committed: those of the worker that told of it.

        None: of any. With many workers, to look at all of them each time one commits would take
        most of a supervisor's time.
        """
        for number in self._held.keys() if worker is None else self._held.keys() & {worker}:
            kept, size, rows = [], 0, 0
            for grant in self._held[number]:
                if undone := count(self._undone(grant.wanted)):
                    kept.append(grant)
                    size += bytes_of(grant.shard, undone)
                    rows += undone
            self._held[number], self._held_bytes[number] = kept, size
            self._held_rows[number] = rows

    def remove_worker(self, worker: int) -> list[Grant]:
        """A worker is dead and its segments merged: what is left of its leases, leased no more."""
        self._credit.pop(worker, None)
        self._held_bytes.pop(worker, None)
        self._held_rows.pop(worker, None)
        left = []
        for grant in self._held.pop(worker, []):
            wanted = self._undone(grant.wanted)
            if wanted:
                left.append(grant.of(wanted))
        return left

    def give_back(self, grants: Iterable[Grant]) -> None:
        """Put rows of a dead worker first in the line."""
        for grant in reversed(list(grants)):
            self._waiting.appendleft(Waiting(grant.shard, grant.wanted, grant.condemned))

    @property
    def waiting_rows(self) -> int:
        """Rows that no worker holds."""
        return sum(count(one.wanted) for one in self._waiting)

    @property
    def held_rows(self) -> int:
        """Rows leased and not committed, as of the last settle()."""
        return sum(grant.rows for held in self._held.values() for grant in held)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is held."""
        return not self._waiting and not any(self._held.values())

    @property
    def hungry(self) -> bool:
        """Whether some worker has credit that the waiting rows don't use up.

        Not while many bytes are leased and not committed: they are kept until they are, and large
        records at a high rate would otherwise take memory as the disk takes time. Records that are
        needed to fill the slots are read however large they are.
        """
        most = HELD_BYTES_PER_WORKER * max(LEAST_WORKERS, len(self._credit))
        if sum(self._held_bytes.values()) >= most and sum(self._held_rows.values()) >= self.slots:
            return False
        return sum(max(0, credit) for credit in self._credit.values()) > self.waiting_rows

    def _fair_share(self) -> int:
        """The most rows that one lease may have: all, unless too few wait for all the credit."""
        waiting = self.waiting_rows
        workers = sum(credit > 0 for credit in self._credit.values())
        fair = -(-waiting // workers) if self.hungry and workers else waiting
        return max(self._at_once, fair)

    def _grant(self, worker: int, waiting: Waiting) -> Grant:
        self._leases += 1
        grant = Grant(self._leases, worker, waiting.shard, waiting.wanted, waiting.condemned)
        self._credit[worker] = self._credit.get(worker, 0) - grant.rows
        self._held.setdefault(worker, []).append(grant)
        size = self._held_bytes.get(worker, 0)
        self._held_bytes[worker] = size + bytes_of(grant.shard, grant.rows)
        self._held_rows[worker] = self._held_rows.get(worker, 0) + grant.rows
        return grant

    def _undone(self, ranges: Ranges) -> Ranges:
        left = [gap for start, end in ranges for gap in self._done.missing(start, end)]
        if not len(self.deferred):
            return left
        return [gap for start, end in left for gap in self.deferred.missing(start, end)]


def bytes_of(shard: Shard, rows: int) -> int:
    """About what so many rows of a shard take."""
    return len(shard.payload) * rows // shard.rows


def count(ranges: Ranges) -> int:
    """Rows in half-open ranges."""
    return sum(end - start for start, end in ranges)


def split(ranges: Ranges) -> tuple[Ranges, Ranges]:
    """The first half of the rows, rounded up, and the others."""
    return cut(ranges, (count(ranges) + 1) // 2)


def cut(ranges: Ranges, rows: int) -> tuple[Ranges, Ranges]:
    """The first `rows` rows, and the others."""
    first: Ranges = []
    second: Ranges = []
    for start, end in ranges:
        middle = min(end, start + rows)
        rows -= middle - start
        if middle > start:
            first.append((start, middle))
        if end > middle:
            second.append((middle, end))
    return first, second
