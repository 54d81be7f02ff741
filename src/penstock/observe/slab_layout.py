"""The cells of a worker's slab, declared once: what each counts, in which unit.

A worker writes its own slab and nobody else's; the supervisor reads them all. Cells hold int64,
start at zero, and are of two kinds: counters only grow, gauges (`GAUGES`) say how things are now
and are dropped when their worker dies. After the named cells come two tables and the started rows:

    C | requests by (status class, error class) | retries by error class | started row of each slot

The lists are closed, because shared memory has no room for names: an error class that is not listed
is counted as `unknown`.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from penstock._core import Slab

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STATUS_CLASSES: Final = ("2xx", "4xx", "5xx", "transport")

SUCCESS: Final = "success"
UNKNOWN: Final = "unknown"

ERROR_CLASSES: Final = (
    SUCCESS,
    "auth",
    "permission",
    "quota",
    "model",
    "rate_limit",
    "overloaded",
    "server_error",
    "bad_response",
    "error_in_200",
    "invalid_request",
    "context_length",
    "content_filter",
    "not_found",
    "conflict",
    "server_timeout",
    "request_too_large",
    "response_too_large",
    "exceeds_limit",
    "invalid_input",
    "invalid_output",
    "truncated",
    "refusal",
    "worker_crash",
    "timeout",
    "connect",
    "connect_timeout",
    "dns",
    "tls",
    "disconnected",
    "malformed_response",
    "redirect",
    "no_memory",
    UNKNOWN,
)


class C(IntEnum):
    """The named cells. `SLOT_*_NS` are sums over slots, by what they wait for: bottleneck.py."""

    HEARTBEAT_NS = 0  # CLOCK_MONOTONIC of the event loop's last beat
    SLOTS = 1
    IN_FLIGHT = 2
    QUEUED = 3  # leased records that no slot has taken yet
    RETRY_WAITING = 4  # on the retry heap
    REQUESTS_SENT = 5
    RECORDS_SUCCEEDED = 6  # ended in the worker; durable a little later
    RECORDS_FAILED = 7
    THROTTLES = 8  # answers that said "slow down"
    RECONNECTS = 9  # requests sent again at once, because a reused connection was gone
    SOILED_CONNECTIONS = 10  # connections closed because bytes came that nothing had asked for
    VOIDED_TICKETS = 11  # by a pause, a tune, or for being late
    PROBES = 12  # of an endpoint that is down
    UNCACHED_INPUT_TOKENS = 13
    CACHED_INPUT_TOKENS = 14
    VISIBLE_OUTPUT_TOKENS = 15
    REASONING_TOKENS = 16
    LIMIT_WAIT_NS = 17  # summed over requests: from wanting a ticket to its being due
    SLOT_BUSY_NS = 18
    SLOT_REQUESTS_NS = 19
    SLOT_TOKENS_NS = 20
    SLOT_CONCURRENCY_NS = 21
    SLOT_THROTTLED_NS = 22
    SLOT_INPUT_NS = 23
    SLOT_CPU_NS = 24
    SLOT_DISK_NS = 25
    SLOT_DRAINED_NS = 26
    RECORDS_REUSED = 27  # of those that ended: by an earlier run's answer
    RECORDS_DUPLICATE = 28  # and by another row's
    # Picodollars. What is moved from one cell to the next below it is never missed by a reader.
    UNTOLD_PUSD = 29  # of results that are not durable yet
    OPEN_PUSD = 30  # predicted for requests in flight
    SPENT_PUSD = 31  # by requests that ended; and by a dead worker's in flight
    LOST_PUSD = 32  # of those, what was predicted for requests without a readable answer
    SLOT_BUDGET_NS = 33


GAUGES: Final = frozenset(
    {
        C.HEARTBEAT_NS,
        C.SLOTS,
        C.IN_FLIGHT,
        C.QUEUED,
        C.RETRY_WAITING,
        C.OPEN_PUSD,
        C.UNTOLD_PUSD,
    }
)


class H(IntEnum):
    """The histograms, each in the unit of its name."""

    REQUEST_US = 0  # one attempt, from the first byte sent to the last received, or to its failure
    LOOP_LAG_NS = 1


TOKEN_CELLS: Final = {
    "uncached_input": C.UNCACHED_INPUT_TOKENS,
    "cached_input": C.CACHED_INPUT_TOKENS,
    "visible_output": C.VISIBLE_OUTPUT_TOKENS,
    "reasoning": C.REASONING_TOKENS,
}

REQUESTS_FIRST: Final = len(C)
RETRIES_FIRST: Final = REQUESTS_FIRST + len(STATUS_CLASSES) * len(ERROR_CLASSES)
STARTED_FIRST: Final = RETRIES_FIRST + len(ERROR_CLASSES)

_INDEX_OF_CLASS: Final = {name: index for index, name in enumerate(ERROR_CLASSES)}
_INDEX_OF_CLASS[""] = _INDEX_OF_CLASS[SUCCESS]  # a verdict that succeeded has no class
_UNKNOWN_INDEX: Final = _INDEX_OF_CLASS[UNKNOWN]


def slab_bytes(slots: int) -> int:
    """The size of a slab whose worker has at most `slots` slots."""
    return Slab.bytes_needed(STARTED_FIRST + slots, len(H))


def open_slab(memory: WriteableBuffer, offset: int, slots: int) -> Slab:
    """The slab at `offset` of shared memory; every process names the same `slots`.

    Raises ValueError where it does not fit.
    """
    return Slab(memory, offset, STARTED_FIRST + slots, len(H))


def status_class(status: int) -> str:
    """The class of an HTTP status; a failure without one (0 or negative) is `transport`.

    So is a 1xx or 3xx, which the transport refuses.
    """
    if 200 <= status < 300:
        return "2xx"
    if 400 <= status < 500:
        return "4xx"
    if 500 <= status < 600:
        return "5xx"
    return "transport"


@lru_cache(maxsize=4096)  # asked for by every request; few are ever different
def request_cell(status: int, error_class: str) -> int:
    """The cell that counts requests which ended with `status` and `error_class`."""
    row = STATUS_CLASSES.index(status_class(status))
    column = _INDEX_OF_CLASS.get(error_class, _UNKNOWN_INDEX)
    return REQUESTS_FIRST + row * len(ERROR_CLASSES) + column


def retry_cell(error_class: str) -> int:
    """The cell that counts retries because of `error_class`."""
    return RETRIES_FIRST + _INDEX_OF_CLASS.get(error_class, _UNKNOWN_INDEX)


def started_cell(slot: int) -> int:
    """The cell that says which row `slot` works on: the row + 1, or 0 for none."""
    return STARTED_FIRST + slot


def started_rows(slab: Slab) -> list[int]:
    """The rows that a worker had started and not ended: whom to blame when it crashed."""
    return sorted({cell - 1 for cell in slab.counters()[STARTED_FIRST:] if cell > 0})
