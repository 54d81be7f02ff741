"""All that a supervisor needs to know of a run before it starts: what `prepare` found out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from penstock.engine.books import Books
from penstock.engine.limiter_file import LimiterFile
from penstock.engine.limits import Bucket
from penstock.engine.secret import Secret
from penstock.engine.treasury import Treasury
from penstock.job import Job, KeepResponse
from penstock.ledger.known import Shelf
from penstock.ledger.mark import ShardMark
from penstock.ledger.rows import RowSet
from penstock.sources.shard import Cursor, Shard


class EndpointPlan(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint: where it is, by which key it is asked, and within which limits."""

    name: str  # in results and metrics
    job: Job  # the run's, as it is for this endpoint
    key: Secret | None
    headers: dict[str, str]  # the job's own, `env:` replaced
    buckets: Sequence[Bucket]
    largest_tokens: int  # that a record is predicted to take
    room: int  # for how many requests in flight there, over all workers, the run is laid out
    places: int  # the most that may be, unless that is tuned
    first_places: int  # with how many it begins
    weight: float = 1.0
    limiter_file: LimiterFile | None = None  # where its buckets are, if not in the run's region
    renew: Callable[[], Secret] | None = None  # runs the command that prints the key; it blocks


class Turns(msgspec.Struct, frozen=True):
    """What a job with --dedupe needs for its next turn."""

    shards: Callable[[Cursor | None], Iterator[Shard]]  # the input once more, from a cursor on
    shelve: Callable[[], Shelf]  # puts what was asked so far on a shelf; it blocks


class Plan(msgspec.Struct, kw_only=True):
    """One epoch of a run, decided."""

    job: Job
    endpoints: Sequence[EndpointPlan]
    run_id: str
    run_directory: str
    epoch: int
    generation: int
    target: RowSet | None  # the rows of a redo
    books: Books
    treasury: Treasury
    shards: Iterator[Shard]  # from where the last checkpoint says
    known_shards: Mapping[int, ShardMark]
    id_column: str | None
    keep_response: KeepResponse
    workers: int
    slots: int  # over all workers, as many as there may ever be
    inherited: tuple[int, ...]  # descriptors that workers keep open: the lock's
    record_workers: Callable[[Iterable[int]], None]
    total: int | None  # rows, where known before the end of the input
    shelves: tuple[Shelf, ...] = ()  # results that are known, and need not be bought
    turns: Turns | None = None
    rows_at_once: int = 1  # that one request may be for

    @property
    def first_slots(self) -> int:
        """With how many of them it begins."""
        return sum(one.first_places for one in self.endpoints)

    @property
    def slots_per_worker(self) -> int:
        """The most slots that a worker has."""
        return -(-self.slots // self.workers)
