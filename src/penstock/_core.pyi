"""The compiled core: token buckets, the retry classifier and the metrics slabs.

Hand-written, and tested against the extension. All integers fit in 64 bits; all times are
nanoseconds of CLOCK_MONOTONIC, and come from the caller.
"""

from collections.abc import Iterable
from typing import Final

from _typeshed import ReadableBuffer, WriteableBuffer

LINE_BYTES: Final = 64

# What a bucket counts, hence which of a reservation's costs it is charged.
REQUESTS: Final = 0
TOTAL_TOKENS: Final = 1
INPUT_TOKENS: Final = 2
OUTPUT_TOKENS: Final = 3

def monotonic_ns() -> int: ...

class Limiter:
    """One handle on the k buckets of an endpoint, in memory that other processes map too.

    A handle belongs to one thread. Every handle on the same bytes keeps one exact rate with the others.
    """

    @staticmethod
    def bytes_needed(buckets: int) -> int: ...
    def __init__(self, memory: WriteableBuffer, offset: int, buckets: int) -> None: ...
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
        """Set up an empty bucket: at most `limit` in any `window_ns`, for costs up to `ceiling` at once."""

    def tune(
        self, bucket: int, limit: int, window_ns: int, ceiling: int, late_ns: int, now_ns: int
    ) -> None:
        """Change a live bucket; tickets taken before are void. One tuner at a time (the supervisor)."""

    def reserve(self, now_ns: int, horizon_ns: int, input_tokens: int, output_tokens: int) -> int:
        """Take a ticket for one request. Returns when it is due (>= now_ns), or, when the largest wait is
        beyond the horizon, minus that wait, and nothing is taken."""

    generation: int  # of the last ticket that reserve() gave
    blocking: int  # the bucket with the largest wait, as of the last reserve(); -1: none waited

    def valid(self, due_ns: int, generation: int, now_ns: int) -> bool:
        """Whether a ticket may still be used: not older than the newest pause or tune, nor too late."""

    def settle(
        self,
        charged_ns: int,
        now_ns: int,
        input_predicted: int,
        output_predicted: int,
        input_used: int,
        output_used: int,
    ) -> None:
        """Correct a charge to what was used: a debit (debt is clamped to one window) or a refund
        (reduced by the time since `charged_ns`)."""

    def pause(self, until_ns: int) -> bool:
        """No ticket is due before `until_ns`, the buckets are empty then, and tickets taken before are
        void. Returns False where a pause at least as long was already in force (nothing changes)."""

    def paused_until(self) -> int: ...
    def level(self, bucket: int, now_ns: int) -> float:
        """How full the bucket is, in its own unit; negative while reservations lie ahead."""

    def rate(self, bucket: int) -> float:
        """Units per second that the bucket gives in the long run."""

    def collisions(self) -> int:
        """How often a compare-and-swap on these buckets met another's, over all handles."""
    # The endpoint's health, shared by all workers.
    def record_failure(self) -> int:
        """Count a transport or 5xx failure; returns how many there were in a row."""

    def record_success(self) -> None: ...
    def failures_in_a_row(self) -> int: ...
    def record_throttle(self) -> int:
        """Count a throttled answer; returns how many came with no success between."""

    def claim_probe(self, now_ns: int, interval_ns: int) -> bool:
        """Whether the caller, and nobody else for `interval_ns`, may send a probe now."""

class Verdict:
    """What the classifier says of an attempt. Compare by identity or by `kind`."""

    kind: Final[str]  # succeeded, retry, throttled, rejected, fatal
    error_class: Final[str]
    def __init__(self, kind: str, error_class: str) -> None: ...

class Classifier:
    """The verdict table of a dialect, compiled.

    A rule is (status, key, kind, error_class). `status` is an HTTP status, a negative transport error
    number, or 0 for "any status"; `key` is a provider's error code or type, or None for the status's
    default. The most exact rule wins: (status, code), (status, type), (0, code), (0, type),
    (status, None), then the hundred's default ((500, None) also serves 5xx without a rule of their own, likewise 400),
    then retry/"unknown".
    """

    def __init__(self, rules: Iterable[tuple[int, str | None, str, str]]) -> None: ...
    def classify(
        self, status: int, code: str | None = None, type: str | None = None
    ) -> Verdict: ...

class Slab:
    """A worker's own counters and histograms in shared memory: int64 cells, one writer, many readers."""

    def __init__(
        self, memory: WriteableBuffer, offset: int, counters: int, histograms: int
    ) -> None: ...
    @staticmethod
    def bytes_needed(counters: int, histograms: int) -> int: ...
    def add(self, counter: int, amount: int) -> None: ...
    def set(self, counter: int, value: int) -> None: ...
    def get(self, counter: int) -> int: ...
    def record(self, histogram: int, value: int) -> None:
        """Count one value (>= 0) of a histogram."""

    def counters(self) -> list[int]: ...
    def histogram(self, histogram: int) -> list[int]:
        """The counts by bucket; same shape for every slab, so that sums are element-wise."""

    def total(self, histogram: int) -> int:
        """The sum of all values recorded."""

HISTOGRAM_BUCKETS: Final[int]
HISTOGRAM_ERROR: Final[float]  # the promised relative error of a quantile

def bucket_of(value: int) -> int: ...
def bucket_upper(bucket: int) -> int:
    """The largest value that the bucket holds (inclusive)."""

def quantile(counts: ReadableBuffer | list[int], q: float) -> float:
    """The q-quantile of histogram counts, within HISTOGRAM_ERROR of the true value; 0.0 when empty."""
