"""What supervisor and workers say to each other: tagged structs, as MessagePack."""

from __future__ import annotations

import msgspec

from penstock.engine.rates import Rates
from penstock.engine.region import Layout
from penstock.job import Job, KeepResponse
from penstock.ledger.known import Shelf
from penstock.ledger.written import Written
from penstock.providers.rate_headers import RateLimit


class Message(msgspec.Struct, tag=True, frozen=True):
    """The base of all; its name is its tag."""


# --- from the supervisor ------------------------------------------------------------------------


class Prices(msgspec.Struct, frozen=True):
    """What is known of prices before the first request."""

    rates: dict[str, Rates | None]  # by model
    usual: Rates | None  # by which requests are predicted
    budgeted: bool  # whether nothing may be sent without a grant


class EndpointSetup(msgspec.Struct, frozen=True):
    """An endpoint, for a worker."""

    name: str
    job: Job  # the run's, as it is for this endpoint
    key: str | None
    headers: dict[str, str]
    key_number: int
    places: int  # requests that this worker may have in flight there
    weight: float = 1.0
    out: bool = False  # it has refused for good
    limiter_descriptor: int | None = None  # of the file with its buckets


class Setup(Message, frozen=True):
    """The first message: all that a worker needs to know. Holds the keys, so it is never logged."""

    job: Job
    endpoints: tuple[EndpointSetup, ...]
    run_id: str
    run_directory: str
    epoch: int
    worker: int
    seat: int
    slots: int
    workers: int
    layout: Layout
    generation: int
    id_column: str | None
    keep_response: KeepResponse
    shelves: tuple[Shelf, ...] = ()  # what is known, and need not be bought
    dedupe: bool = False
    turn: int = 0
    prices: Prices | None = None  # None: nothing of this job has a price


class Lease(Message, frozen=True):
    """A shard for this worker; the payload follows in the same frame."""

    lease: int
    kind: str
    file: str
    first_row: int
    rows: int
    first_line: int
    checksum: int
    wanted: list[tuple[int, int]]  # half-open ranges of the rows to ask for
    condemned: str | None = None  # not to be asked: dead letters `worker_crash`, for this reason


class Know(Message, frozen=True):
    """What this run has asked so far is on a shelf; claims of earlier turns count no more."""

    shelf: Shelf
    turn: int


class Price(Message, frozen=True):
    """What a model costs; None: nobody knows."""

    model: str
    rates: Rates | None


class Grant(Message, frozen=True):
    """Picodollars more to spend; 0: there are none for now, so what is unused is wanted back."""

    amount: int


class Drain(Message, frozen=True):
    """Start nothing more; finish what is in flight within the grace, commit, exit."""

    grace_seconds: float


class Cut(Message, frozen=True):
    """Drop what is in flight, commit what is answered, exit."""


# --- from a worker ------------------------------------------------------------------------------


class Hello(Message, frozen=True):
    """The worker is ready for shards."""

    pid: int


class Want(Message, frozen=True):
    """Credit: the worker can take this many rows more."""

    rows: int


class Committed(Message, frozen=True):
    """Batches that are on the disk for good."""

    written: list[Written]


class Deferred(Message, frozen=True):
    """Rows that were dropped, since another asks the same: to be leased again in the next turn."""

    rows: list[int]


class Fatal(Message, frozen=True):
    """A fatal verdict: the provider refuses for good."""

    error_class: str
    message: str
    status: int
    endpoint: int = 0
    key_number: int = 0  # the newest key that the worker was told of: see NewKey


class Named(Message, frozen=True):
    """The limits that an endpoint's headers name, where they are not those of before."""

    limits: list[RateLimit]
    endpoint: int = 0


class Failing(Message, frozen=True):
    """So many failures in a row that an endpoint counts as down; why the last one failed."""

    cause: str
    endpoint: int = 0


class PriceOf(Message, frozen=True):
    """Answers name a model whose price the worker does not know."""

    model: str


class Funds(Message, frozen=True):
    """The worker wants picodollars, or gives some back."""

    needs: int  # to go on at all; 0 where it still can
    wants: int
    returns: int  # below 0: it overdrew so much


class Failed(Message, frozen=True):
    """The worker can't go on: the disk fails, or an exception that nothing handled (`accuses`)."""

    reason: str
    traceback: str
    accuses: bool
    disk: bool = False


class Goodbye(Message, frozen=True):
    """All is committed; nothing more comes."""


class NewKey(Message, frozen=True):
    """Another key for an endpoint. Never logged."""

    endpoint: int
    key: str
    number: int  # of the keys that were told, from 1


class Out(Message, frozen=True):
    """An endpoint has refused for good: send it nothing more. Others go on."""

    endpoint: int


class Exhausted(Message, frozen=True):
    """No fresh rows will come, but in another turn: what is idle waits for no input."""


FromSupervisor = Setup | Lease | Know | Exhausted | Price | Grant | NewKey | Out | Drain | Cut
FromWorker = (
    Hello
    | Want
    | Committed
    | Deferred
    | Fatal
    | Named
    | Failing
    | PriceOf
    | Funds
    | Failed
    | Goodbye
)
