"""When a record is asked again: backoff, retry budget, retry heap; time comes from outside."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

import msgspec

from penstock._core import Verdict

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 60.0
THROTTLE_FIRST_SECONDS = 0.1  # a pause where the provider names none; doubles with each
FAILURES_UNTIL_DOWN = 10  # transport or 5xx failures in a row, over all workers
PROBE_INTERVAL_NS = 1_000_000_000
# Of a worker's slots. Where a server accepts and says nothing, probes that wait for the timeout
# would come to hold all of them, and a server that is back would find none free for minutes.
PROBING_SHARE = 0.25
BUDGET_SHARE = 0.2  # retries per request
BUDGET_PER_SECOND = 10.0
HEAP_PER_SLOT = 4
UNREACHED = frozenset(
    {"connect", "connect_timeout", "dns"}
)  # the record was never seen: no attempt
# A record with none beside it that could tell an outage from its own fault is given this long.
ALONE_NS = 60_000_000_000
GIVE_UP_NS = 600_000_000_000  # an endpoint that is down for so long, at the end of a run: see Work
SECOND_NS = 1_000_000_000

FINISH = "finish"  # the record ends, as result or dead letter
AGAIN = "again"  # back to the heap
STOP = "stop"  # the run stops, the record stays pending


class Decision(msgspec.Struct, frozen=True):
    """What becomes of a record after an attempt."""

    action: str  # FINISH, AGAIN or STOP
    delay_seconds: float = 0.0
    counts: bool = True  # whether the attempt counts against --max-attempts
    error_class: str = ""


def decide(
    verdict: Verdict,
    *,
    attempts: int,
    max_attempts: int,
    endpoint_down: bool,
    wait_seconds: float | None,
    throttles: int,
    exceeds_limit: bool,
    names_model: bool,
    chance: float,
) -> Decision:
    """What follows from a verdict.

    `attempts` counts this one too; `throttles` is how often this record was throttled in a row;
    `wait_seconds` is what the provider asked for; `chance` is uniform in [0, 1). A record that
    `names_model` brought its own model, so that an unknown one is its own fault and nobody else's.
    """
    kind, error_class = verdict.kind, verdict.error_class
    if kind in ("succeeded", "rejected"):
        return Decision(FINISH, error_class=error_class)
    if kind == "fatal" and names_model and error_class == "model":
        return Decision(FINISH, error_class=error_class)
    if kind == "fatal":
        return Decision(STOP, counts=False, error_class=error_class)
    if kind == "throttled":
        if exceeds_limit:
            return Decision(FINISH, error_class="exceeds_limit")
        return Decision(AGAIN, backoff(throttles, wait_seconds, chance), False, error_class)
    counts = not endpoint_down and error_class not in UNREACHED
    if counts and attempts >= max_attempts:
        return Decision(FINISH, error_class=error_class)
    return Decision(AGAIN, backoff(attempts, wait_seconds, chance), counts, error_class)


def backoff(tries: int, wait_seconds: float | None, chance: float) -> float:
    """Seconds until the next try: full jitter, doubling; a provider's wait is a floor under it.

    Full jitter: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """
    spread = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** max(0, min(tries, 32) - 1))
    if wait_seconds is None:
        return chance * spread
    return wait_seconds + chance * min(spread, max(0.1, wait_seconds * 0.1))


class Pauses:
    """How long throttled answers pause the whole endpoint.

    One throttle among successes holds back its own record alone: providers and proxies throttle
    single requests while others pass. Two with no success between them mean that the endpoint is
    full. Where the provider names no wait, each pause is twice the last one; answers to what was
    sent before that one began say nothing new, however many there are.
    """

    def __init__(self) -> None:
        self._in_a_row = 0
        self._began_ns = 0

    def next_seconds(
        self, throttles_in_a_row: int, wait_seconds: float | None, sent_ns: int, now_ns: int
    ) -> float:
        """The pause that follows a throttled answer to what was sent at `sent_ns`; 0 for none."""
        if throttles_in_a_row < 2:
            self._in_a_row = 0
            return 0.0
        if wait_seconds is not None:
            return wait_seconds
        if sent_ns < self._began_ns:
            return 0.0
        self._began_ns = now_ns
        self._in_a_row += 1
        doubled = THROTTLE_FIRST_SECONDS * 2.0 ** min(self._in_a_row - 1, 16)
        return min(LONGEST_DELAY_SECONDS, doubled)


class RetryBudget:
    """How many retries may be sent: a share of the requests, and some per second."""

    def __init__(self, now_ns: int, share_of_rate: float = 1.0) -> None:
        self._per_ns = BUDGET_PER_SECOND * share_of_rate / SECOND_NS
        self._most = max(1.0, BUDGET_PER_SECOND * share_of_rate)
        self._saved = self._most
        self._seen_ns = now_ns
        self.fresh = 0  # requests that were sent since the last retry: each earns a part of one

    def spend(self, now_ns: int) -> int:
        """Take one retry: 0, or the nanoseconds to wait before asking again."""
        earned = min(self._saved + BUDGET_SHARE * self.fresh, 1000.0 * self._most)
        self._saved, self.fresh = max(self._saved, earned), 0
        gained = (now_ns - self._seen_ns) * self._per_ns
        self._seen_ns = now_ns
        self._saved = max(self._saved, min(self._saved + gained, self._most))
        if self._saved >= 1.0:
            self._saved -= 1.0
            return 0
        return int((1.0 - self._saved) / self._per_ns) + 1


T = TypeVar("T")


class RetryHeap(Generic[T]):
    """Records that wait for a retry, by due time; they hold no slot."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, int, T]] = []  # the first by due time is the first
        self._pushed = 0

    def __len__(self) -> int:
        return len(self.entries)

    def push(self, due_ns: int, item: T) -> None:
        """Keep `item` until `due_ns`."""
        self._pushed += 1
        heapq.heappush(self.entries, (due_ns, self._pushed, item))

    def due_ns(self) -> int | None:
        """When the first is due; None when empty."""
        return self.entries[0][0] if self.entries else None

    def first(self) -> T:
        """The first by due time; it stays."""
        return self.entries[0][2]

    def pop(self) -> T:
        """The first by due time."""
        return heapq.heappop(self.entries)[2]
