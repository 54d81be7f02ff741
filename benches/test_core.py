"""What the core costs, called from Python: pytest benches/test_core.py

The goals: a reserve on two buckets and a verdict within 150 ns, a histogram record within 60 ns.
Each case makes CALLS calls a round, because the harness takes longer than one of them, so that the
microseconds it shows are nanoseconds per call. What the loop itself takes is there as `nothing`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import Any

import pytest

from penstock._core import (
    REQUESTS,
    TOTAL_TOKENS,
    Classifier,
    Limiter,
    Slab,
)

CALLS = 1000
SECOND = 1_000_000_000
START = 60 * SECOND


def limiter(limit: int) -> Limiter:
    made = Limiter(bytearray(Limiter.bytes_needed(2)), 0, 2)
    made.configure(0, REQUESTS, limit, SECOND, max(1, limit // 50), SECOND // 20, 0)
    made.configure(1, TOTAL_TOKENS, limit * 60_000, 60 * SECOND, limit * 1000, SECOND // 20, 0)
    return made


def measure(benchmark: Any, call: Callable[[], object]) -> None:
    def thousand() -> None:
        for _ in repeat(None, CALLS):
            call()

    run(benchmark, thousand)


def run(benchmark: Any, thousand: Callable[[], None]) -> None:
    benchmark.pedantic(thousand, rounds=300, warmup_rounds=10)
    benchmark.extra_info["ns_per_call"] = benchmark.stats.stats.median / CALLS * 1e9


def test_nothing(benchmark: Any) -> None:
    measure(benchmark, lambda: None)


def test_reserve_that_is_granted(benchmark: Any) -> None:
    """Time moves on, so that each call takes a place in both buckets."""
    some, step = limiter(10_000), SECOND // 8000
    reserve = some.reserve
    now = START

    def thousand() -> None:
        nonlocal now
        for at in range(now, now + CALLS * step, step):
            reserve(at, SECOND // 20, 900, 50)
        now += CALLS * step

    run(benchmark, thousand)
    assert some.level(0, now) > 0


def test_reserve_that_must_wait(benchmark: Any) -> None:
    full = limiter(10)
    while full.reserve(START, 0, 900, 50) >= 0:
        pass
    measure(benchmark, lambda: full.reserve(START, 0, 900, 50))


def test_settle(benchmark: Any) -> None:
    some = limiter(10_000)
    measure(benchmark, lambda: some.settle(START, START, 900, 50, 900, 51))


def test_valid(benchmark: Any) -> None:
    some = limiter(10_000)
    measure(benchmark, lambda: some.valid(START, 0, START))


RULES = [
    (200, None, "succeeded", ""),
    (429, None, "throttled", "rate_limit"),
    (429, "insufficient_quota", "fatal", "quota"),
    (400, None, "rejected", "bad_request"),
    (500, None, "retry", "server_error"),
]


@pytest.mark.parametrize(
    "attempt",
    [(200,), (503,), (429, "rate_limit_exceeded", "requests"), (429, "insufficient_quota", "x")],
    ids=str,
)
def test_verdict(benchmark: Any, attempt: tuple[Any, ...]) -> None:
    classify = Classifier(RULES).classify
    measure(benchmark, lambda: classify(*attempt))


def test_histogram_record(benchmark: Any) -> None:
    record = Slab(bytearray(Slab.bytes_needed(1, 1)), 0, 1, 1).record
    measure(benchmark, lambda: record(0, 123_456_789))


def test_counter_add(benchmark: Any) -> None:
    add = Slab(bytearray(Slab.bytes_needed(1, 1)), 0, 1, 1).add
    measure(benchmark, lambda: add(0, 1))
