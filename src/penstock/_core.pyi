"""The compiled core: token buckets, the retry classifier, the metrics slabs, a search, a set of
claims, lines, plain chat completions, results with their columns and counts, the prediction of
tokens, the text of plain templates, and a request's way out: gate, ticket, charge.

Hand-written, and tested against the extension. All integers fit in 64 bits; all times are
nanoseconds of CLOCK_MONOTONIC, and come from the caller. What is out of range raises ValueError (or
OverflowError beyond 64 bits), an index that is not there IndexError.

Memory that is handed in must be writable, zeroed and 8-byte aligned, the offset a multiple of
LINE_BYTES. It stays exported (an mmap can't be closed) as long as the object lives.
"""

from asyncio import Future
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from _typeshed import WriteableBuffer
from msgspec import Struct

_A = TypeVar("_A", bound=Struct)
_R = TypeVar("_R", bound=Struct)

LINE_BYTES: Final = 64

# What a bucket counts, hence which of a reservation's costs it is charged.
REQUESTS: Final = 0
TOTAL_TOKENS: Final = 1
INPUT_TOKENS: Final = 2
OUTPUT_TOKENS: Final = 3

PAUSED: Final = -2  # Limiter.blocking: a pause, not a bucket

def monotonic_ns() -> int:
    """The time by CLOCK_MONOTONIC, which all processes of a machine share."""

def wall_us() -> int:
    """Microseconds since the Unix epoch: for timestamps alone, nothing is decided by them."""

class Limiter:
    """One handle on the k buckets of an endpoint, in memory that other processes map too.

    A handle belongs to one thread. All handles on the same bytes keep the limits together. Costs
    above a bucket's limit are taken as the limit; a cost of zero is free in that bucket.
    """

    def __init__(self, memory: WriteableBuffer, offset: int, buckets: int) -> None: ...
    @staticmethod
    def bytes_needed(buckets: int) -> int:
        """The size of an endpoint of 0 to 64 buckets, a multiple of LINE_BYTES."""

    def configure(
        self,
        bucket: int,
        resource: int,
        limit: int,
        window_ns: int,
        ceiling: int,
        late_ns: int,
        now_ns: int,
    ) -> None:
        """Set up an empty bucket, before anyone else uses it: at most `limit` in any half-open
        `window_ns` of sending times, where each ticket is sent between its due and `late_ns` later.

        `ceiling` (1 to `limit`) is the burst, and the largest cost that is taken without extra
        idleness. The bucket gives (limit + 1 - ceiling) per (window_ns + late_ns) in the long run.
        """

    def lift(self, bucket: int) -> None:
        """Have a configured bucket bound nothing, at hardly any cost, until it is tuned."""

    def debit(self, bucket: int, amount: int, now_ns: int) -> None:
        """Charge what was spent without a ticket, down to one window of debt."""

    def tune(
        self, bucket: int, limit: int, window_ns: int, ceiling: int, late_ns: int, now_ns: int
    ) -> None:
        """Change a live bucket, as configure() would. Tickets taken before are void; the level is
        kept, in units, up to the new ceiling; a lifted one begins empty. One tuner at a time."""

    def reserve(self, now_ns: int, horizon_ns: int, input_tokens: int, output_tokens: int) -> int:
        """Take a ticket for one request. Returns when it is due (>= now_ns), or, when the largest
        wait is beyond the horizon, minus that wait, and nothing is taken.

        Raises RuntimeError where a bucket was never configured."""

    @property
    def generation(self) -> int:
        """Of the last ticket that reserve() gave."""

    @property
    def blocking(self) -> int:
        """What the last reserve() had to wait for longest: a bucket, PAUSED, or -1 for nothing."""

    def valid(self, due_ns: int, generation: int, now_ns: int) -> bool:
        """Whether a ticket may still be used, to be asked just before it is: not older than the
        newest pause or tune, and not later than its due plus the least `late_ns` of the buckets."""

    def settle(
        self,
        charged_ns: int,
        now_ns: int,
        input_predicted: int,
        output_predicted: int,
        input_used: int,
        output_used: int,
    ) -> None:
        """Correct a ticket's charge in the token buckets to what was used; `charged_ns` is its due.

        A debit goes no deeper than one window of debt. A refund is reduced by how far the bucket's
        dues have moved on since, and forgone where the bucket was tuned meanwhile."""

    def pause(self, until_ns: int) -> bool:
        """No ticket is due before `until_ns`, the buckets are empty then, and tickets taken before
        are void. False where a pause at least as long was already in force (nothing changes)."""

    def paused_until(self) -> int:
        """The end of the last pause; 0 where there was none."""

    def level(self, bucket: int, now_ns: int) -> float:
        """How full the bucket is, in its own unit; negative while reservations lie ahead."""

    def rate(self, bucket: int) -> float:
        """Units per second that the bucket gives in the long run."""

    def collisions(self) -> int:
        """How often a compare-and-swap on these buckets met another's, over all handles."""
    # The endpoint's health, shared by all workers.
    def record_failure(self) -> int:
        """Count a transport or 5xx failure; returns how many there were in a row."""

    def record_success(self) -> None:
        """End the rows of failures and of throttles."""

    def failures_in_a_row(self) -> int:
        """How many failures came with no success between."""

    def record_throttle(self) -> int:
        """Count a throttled answer; returns how many came with no success between.

        It ends a row of failures: what throttles is not down.
        """

    def claim_probe(self, now_ns: int, interval_ns: int) -> bool:
        """Whether the caller, and nobody else for `interval_ns`, may send a probe now."""

class Verdict:
    """What the classifier says of an attempt. Compare by identity or by `kind`."""

    def __init__(self, kind: str, error_class: str) -> None: ...
    @property
    def kind(self) -> str:
        """One of succeeded, retry, throttled, rejected, fatal."""

    @property
    def error_class(self) -> str:
        """The class under which it is counted; empty for a success."""

class Classifier:
    """The verdict table of a dialect, compiled.

    A rule is (status, key, kind, error_class). `status` is an HTTP status, a negative transport
    error number, or 0 for "any status"; `key` is a provider's error code or type, or None for the
    status's default. The most exact rule wins: (status, code), (status, type), (0, code),
    (0, type), (status, None), then the hundred's default ((500, None) also serves 5xx without a
    rule of their own, likewise 400), then (0, None), then retry/"unknown".

    Raises ValueError for an unknown kind, and for two verdicts on one (status, key).
    """

    def __init__(self, rules: Iterable[tuple[int, str | None, str, str]]) -> None: ...
    def classify(self, status: int, code: str | None = None, type: str | None = None) -> Verdict:
        """The verdict on an attempt. Equal verdicts of one classifier are the same object."""

class Slab:
    """A worker's own counters and histograms in shared memory: int64 cells, one writer, many
    readers. No cell is ever read torn, but two cells may be of different moments."""

    def __init__(
        self, memory: WriteableBuffer, offset: int, counters: int, histograms: int
    ) -> None: ...
    @staticmethod
    def bytes_needed(counters: int, histograms: int) -> int:
        """The size of a slab, a multiple of LINE_BYTES."""

    def add(self, counter: int, amount: int) -> None:
        """Add to a counter; beyond 63 bits it wraps."""

    def add_each(self, counters: tuple[int, ...], amounts: tuple[int, ...]) -> None:
        """Add to several counters, to each its own amount, in the order they are named."""

    def set(self, counter: int, value: int) -> None:
        """Set a counter."""

    def get(self, counter: int) -> int:
        """Read a counter."""

    def record(self, histogram: int, value: int) -> None:
        """Count one value (>= 0) of a histogram; from 2**42 on, all share the last bucket."""

    def counters(self) -> list[int]:
        """All counters."""

    def histogram(self, histogram: int) -> list[int]:
        """The counts by bucket; same shape for every slab, so that sums are element-wise."""

    def total(self, histogram: int) -> int:
        """The sum of all values recorded, as they were."""

HISTOGRAM_BUCKETS: Final[int]
HISTOGRAM_ERROR: Final[float]  # the promised relative error of a quantile of values below 2**42

def bucket_of(value: int) -> int:
    """The bucket that counts a value (>= 0)."""

def bucket_upper(bucket: int) -> int:
    """The largest value that the bucket holds (inclusive)."""

def quantile(counts: Sequence[int], q: float) -> float:
    """The q-quantile of histogram counts, within HISTOGRAM_ERROR of the true value (the least one
    that a share q of all does not exceed); 0.0 when empty."""

class Needles:
    """A few byte strings, of two bytes or more, that are looked for in many others."""

    def __init__(self, needles: Iterable[bytes]) -> None: ...
    def within(self, haystack: bytes) -> bool:
        """Whether any of them is in `haystack`."""

    def plainly_absent(self, body: bytes, head: bytes) -> bool:
        """Whether one look tells that none is in a response's body, as JSON, nor in its head.

        False too where a character of the body may be escaped, or one of the head is not ASCII.
        """

class Claims:
    """A set of 64-bit keys in shared memory, to which any process adds without a lock.

    `memory` is zeroed when new; what is not written to takes no memory.
    """

    @staticmethod
    def bytes_needed() -> int: ...
    def __init__(self, memory: WriteableBuffer, offset: int) -> None: ...
    def claim(self, key: int) -> bool:
        """Add a key, 0 <= key < 2**64, 0 and 1 being one; True if it was not there.

        True too where there is no room for it, which is so from some 60 million keys on.
        """

def pass_lines(data: bytes, position: int, limit: int, most: int, longest: int) -> tuple[int, int]:
    """How many lines from `position` on end before `limit`, and where the next one begins.

    Their newlines are before `limit`, too. At most `most`; it stops before the first that begins
    with a blank or has more than `longest` bytes. Raises ValueError for what is not within `data`.
    """

def count_lines(data: bytes, start: int, end: int) -> int:
    """The newlines from `start` up to `end`. Raises ValueError for what is not within `data`."""

def object_lines(payload: bytes) -> int:
    """How many lines a payload has where each begins with { and ends with }; 0 where one doesn't.

    If all of it is JSON, and as many objects, then each of those is one line: within an object no
    line ends with } before one that begins with {.
    """

class Field:
    """A field of a msgspec struct, which is read at its place in memory.

    Raises TypeError for what is no field of `owner`; so does who reads it from another struct.
    """

    def __init__(self, owner: type[Struct], name: str) -> None: ...
    owner: Final[type[Struct]]
    name: Final[str]

Packed = tuple[int, bytes | None, bytes]  # how many are null, validity, data
PackedText = tuple[int, bytes | None, bytes, bytes]  # offsets before the data

def pack_int64(structs: tuple[Struct, ...], field: Field) -> Packed:
    """The buffers of an Arrow column of 64-bit integers; what is larger becomes the nearest.

    Its values are one field of many structs, or None. Validity is a bitmap, or None where no value
    is null; those after the last value are unset. Raises TypeError for what is of another type, as
    the others do.
    """

def pack_float64(structs: tuple[Struct, ...], field: Field) -> Packed:
    """The buffers of a column of doubles."""

def pack_bool(structs: tuple[Struct, ...], field: Field) -> Packed:
    """The buffers of a column of booleans, which are a bitmap too."""

def pack_text(structs: tuple[Struct, ...], field: Field) -> PackedText:
    """The buffers of a column of UTF-8 texts with 32-bit offsets; a lone surrogate becomes `?`.

    Raises OverflowError where they are more than 2 GiB together.
    """

class Sizes:
    """What structs weigh: `least`, and a character a byte of what texts they have in `fields`."""

    def __init__(self, least: int, fields: tuple[Field, ...]) -> None: ...
    def of(self, struct: Struct) -> int:
        """The bytes of one, roughly. Raises TypeError where a field has no text."""

class PlainChats(Generic[_A]):
    """Reads the chat completions that say a text and nothing beside it.

    The structs are those of `providers.provider` and `providers.openai_bodies`; `cut` is the finish
    reason of a text that a token limit cut.
    """

    def __init__(
        self,
        answer: type[_A],
        cut: str,
        body: type[Struct],
        choice: type[Struct],
        message: type[Struct],
        usage: type[Struct],
        details: type[Struct],
    ) -> None: ...
    def answer(self, body: Struct) -> _A | None:
        """The answer, with its usage; None for a body that says more, or less."""

class ResultMaker(Generic[_R]):
    """Makes a record's result of its last attempt; one for each worker.

    The structs are those of `record`, `engine.pending`, `engine.attempt` and `providers.provider`.
    `together` adds the tokens of answers that did not count (Pending.spent) to those of the last
    one, `usd` makes dollars of picodollars, `words` are those for a success, for a failure, and for
    where results are from, and `keeps` is whether the body of a failure, and of a success, is kept.
    """

    def __init__(
        self,
        result: type[_R],
        pending: type[Struct],
        record: type[Struct],
        request: type[Struct],
        attempt: type[Struct],
        answer: type[_A],
        refusal: type[Struct],
        together: Callable[[_A, _A], _A],
        usd: Callable[[int], float],
        words: tuple[str, str, str],
        generation: int,
        keeps: tuple[bool, bool],
    ) -> None: ...
    def of(
        self,
        pending: Struct,
        attempt: Struct,
        error_class: str,
        endpoint: str,
        now_ns: int,
        finished_at: int,
    ) -> _R:
        """How a record ended; `error_class` is empty where it succeeded, `finished_at` in us."""

class EndCounter:
    """Counts how records end, and the tokens of answers, in a worker's slab.

    `cells` are those of records that succeeded and that failed, and of tokens in parts that have
    nothing in common: uncached input, cached input, visible output, reasoning.
    """

    def __init__(
        self, slab: Slab, answer: type[Struct], cells: tuple[int, int, int, int, int, int]
    ) -> None: ...
    def ended(self, answer: Struct | None, failed: bool) -> None:
        """A record ended, with an answer or without one."""

    def spent(self, answer: Struct) -> None:
        """An answer was paid for that ends nothing."""

FIRST_OUTPUT_TOKENS: Final = 256  # before the first answer

class TokenPredictor:
    """Learns from settled answers of one model what requests cost; one for each worker."""

    def __init__(self, first_output: int = 256) -> None: ...
    def predict(self, body_bytes: int, most_output: int) -> tuple[int, int]:
        """Input and output tokens; `most_output` is what the request allows (0: it doesn't say)."""

    def learn(self, body_bytes: int, input_tokens: int, output_tokens: int) -> None:
        """Take in what an answer's usage says."""

def join_pieces(pieces: tuple[str, ...], fields: Mapping[str, Any]) -> str | None:
    """The text of a plain template's pieces: text, and of a subclass of str the names of columns.

    None where a column is not there, or is neither a text nor a number nor a truth value.
    """

class Gate:
    """So many `places`, of one event loop; who waits for one stands in `line`."""

    on_leave: Callable[[], None] | None  # told of each place that becomes free
    def __init__(self, places: int) -> None: ...
    @property
    def line(self) -> deque[Future[None]]: ...
    def locked(self) -> bool:
        """Whether who comes now has to wait."""

    def enter(self) -> bool:
        """Take a place if one is free; returns whether it did."""

    def leave(self) -> None:
        """Give the place up, and call whoever waits longest, if anybody does."""

    def call(self) -> None:
        """Call whoever waits longest."""

class Tickets:
    """Those of a limiter that are to be had at once; `clock` is asked for the time."""

    stopped: bool  # none is given any more
    held: bool  # none is given for now
    def __init__(self, limiter: Limiter, clock: Callable[[], int]) -> None: ...
    @property
    def limiter(self) -> Limiter: ...
    @property
    def line(self) -> deque[Any]:
        """Who waits for one: nobody passes them."""

    def take(self, input_tokens: int, output_tokens: int) -> int:
        """A ticket that is due now: when it was charged, in ns; 0 where one must be waited for."""

class _Purse(Protocol):
    def sent(self, amount: int) -> None: ...

class Traffic:
    """A worker's requests to one endpoint: what they go through, and how many there are.

    `cells` are the counters for nanoseconds of waiting, for requests that were sent and for those
    that were answered, and the histogram of their microseconds. `wait` is called where a ticket
    must be waited for: what it returns is awaited, and calls `Sending.go`.
    """

    predictor: TokenPredictor
    def __init__(
        self,
        gate: Gate,
        tickets: Tickets,
        slab: Slab,
        predictor: TokenPredictor,
        cells: tuple[int, int, int, int],
        clock: Callable[[], int],
        wait: Callable[[Sending], Awaitable[None]],
    ) -> None: ...
    @property
    def gate(self) -> Gate: ...
    @property
    def tickets(self) -> Tickets: ...
    @property
    def slab(self) -> Slab: ...
    @property
    def waiting(self) -> int:
        """Requests that wait for a ticket, or for what they need before."""

    @property
    def in_flight(self) -> int:
        """Requests that are out."""
    # What was answered since the start: how often, after how long, and with how many tokens.
    @property
    def answers(self) -> int: ...
    @property
    def answers_ns(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...

class Sending:
    """One request's way out, from when it is wanted on: predicted, and counted as waiting."""

    def __init__(self, traffic: Traffic, weight_bytes: int, most_output: int) -> None:
        """See TokenPredictor.predict."""

    @property
    def traffic(self) -> Traffic: ...
    @property
    def input_tokens(self) -> int:
        """Predicted, as is `output_tokens`."""

    @property
    def output_tokens(self) -> int: ...
    @property
    def charged_ns(self) -> int:
        """When its ticket was charged, or was due; 0 until it has one."""

    @property
    def sent_ns(self) -> int:
        """When it went out; 0 until then."""

    @property
    def alone(self) -> bool:
        """Whether none other was out when it went."""

    @property
    def held_pusd(self) -> int:
        """What was put aside for it."""

    @property
    def purse(self) -> _Purse | None: ...
    def pay(self, purse: _Purse, held_pusd: int) -> None:
        """Tell `purse` of what is put aside for it as soon as it goes out."""

    def enter(self) -> bool:
        """Be one of the few that may take a connection, if that needs no waiting."""

    def entered(self) -> None:
        """It waited for its place at the gate, and has it."""

    def ready(self) -> Awaitable[None] | None:
        """Take a ticket and go, or return what has to be awaited for that."""

    def go(self, charged_ns: int, sent_ns: int) -> None:
        """The request goes out now."""

    def ended(self) -> None:
        """The request is out no more, or never went out."""

    def answered(
        self, sent_ns: int, done_ns: int, input_tokens: int | None, output_tokens: int | None
    ) -> None:
        """Count an answer, and settle its ticket; learn from what it used.

        None: it doesn't say, so that the prediction stands.
        """

    def unanswered(self, cell: int, sent_ns: int, done_ns: int) -> None:
        """Count a failure, in `cell` too, and settle its ticket to what was sent.

        Times are 0 where nothing was.
        """
