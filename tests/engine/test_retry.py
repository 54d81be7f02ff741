"""What follows from a verdict, how long it takes, and how many retries there may be."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock._core import Verdict
from penstock.engine.retry import (
    AGAIN,
    BUDGET_PER_SECOND,
    BUDGET_SHARE,
    FINISH,
    LONGEST_DELAY_SECONDS,
    STOP,
    Decision,
    Pauses,
    RetryBudget,
    RetryHeap,
    backoff,
    decide,
)

SECOND = 1_000_000_000
chances = st.floats(0, 1, exclude_max=True)


def after(verdict: Verdict, **more: Any) -> Decision:
    known: dict[str, Any] = {
        "attempts": 1,
        "max_attempts": 5,
        "endpoint_down": False,
        "wait_seconds": None,
        "throttles": 0,
        "exceeds_limit": False,
        "names_model": False,
        "chance": 0.5,
    }
    return decide(verdict, **{**known, **more})


@pytest.mark.parametrize("attempts", [1, 5, 9])
def test_what_succeeded_or_was_rejected_ends_at_once(attempts: int) -> None:
    assert after(Verdict("succeeded", ""), attempts=attempts).action == FINISH
    rejected = after(Verdict("rejected", "context_length"), attempts=attempts)
    assert (rejected.action, rejected.error_class) == (FINISH, "context_length")


def test_a_failure_is_tried_again_until_the_attempts_are_used_up() -> None:
    verdict = Verdict("retry", "server_error")
    assert [after(verdict, attempts=n, max_attempts=3).action for n in (1, 2, 3, 4)] == [
        AGAIN,
        AGAIN,
        FINISH,
        FINISH,
    ]
    assert after(verdict, attempts=3, max_attempts=3).error_class == "server_error"
    assert after(verdict, attempts=1, max_attempts=1).action == FINISH


def test_while_the_endpoint_is_down_failures_neither_count_nor_end_a_record() -> None:
    decision = after(Verdict("retry", "connect"), attempts=99, max_attempts=1, endpoint_down=True)
    assert decision.action == AGAIN
    assert not decision.counts


def test_a_throttle_is_no_attempt_and_never_ends_a_record() -> None:
    decision = after(Verdict("throttled", "rate_limit"), attempts=99, max_attempts=1, throttles=99)
    assert decision.action == AGAIN
    assert not decision.counts


def test_a_record_larger_than_the_limit_ends_as_exceeding_it() -> None:
    decision = after(Verdict("throttled", "rate_limit"), exceeds_limit=True)
    assert (decision.action, decision.error_class) == (FINISH, "exceeds_limit")


def test_a_fatal_verdict_stops_the_run_and_leaves_the_record_pending() -> None:
    decision = after(Verdict("fatal", "quota"), attempts=9)
    assert decision.action == STOP
    assert not decision.counts


def test_an_unknown_model_is_the_fault_of_a_record_that_names_it_alone() -> None:
    assert after(Verdict("fatal", "model"), names_model=True).action == FINISH
    assert after(Verdict("fatal", "model"), names_model=False).action == STOP
    assert after(Verdict("fatal", "auth"), names_model=True).action == STOP


@given(st.integers(0, 1000), chances)
def test_without_a_named_wait_the_delay_is_anything_up_to_a_bound_that_doubles(
    tries: int, chance: float
) -> None:
    bound = min(LONGEST_DELAY_SECONDS, 2.0 ** (max(1, min(tries, 40)) - 1))
    assert 0 <= backoff(tries, None, chance) <= bound
    assert backoff(tries, None, 0.0) == 0
    assert backoff(tries, None, 0.999) > 0.99 * bound


@given(st.integers(0, 1000), st.floats(0, 86_400), chances)
def test_what_the_provider_asks_to_wait_is_a_floor_with_a_tenth_of_jitter(
    tries: int, wait: float, chance: float
) -> None:
    delay = backoff(tries, wait, chance)
    assert wait <= delay <= wait + max(0.1, wait * 0.1)
    assert backoff(tries, wait, 0.999) > wait + 0.09, "all would come back at one moment"


def test_one_throttle_alone_pauses_nothing_and_later_ones_pause_ever_longer() -> None:
    pauses = Pauses()
    assert pauses.next_seconds(1, None, 0, 10) == pauses.next_seconds(1, 30.0, 0, 10) == 0
    assert pauses.next_seconds(2, 30.0, 0, 10) == 30.0
    lengths = [pauses.next_seconds(n, None, n * SECOND, n * SECOND) for n in range(2, 40)]
    assert lengths[:3] == [0.1, 0.2, 0.4]
    assert lengths == sorted(lengths)
    assert lengths[-1] == LONGEST_DELAY_SECONDS
    assert pauses.next_seconds(1, None, 0, 50 * SECOND) == 0  # something was answered between
    assert pauses.next_seconds(2, None, 51 * SECOND, 51 * SECOND) == 0.1


def test_many_throttles_of_what_was_sent_together_are_one_pause() -> None:
    """A hundred in flight once made it a minute, by doubling a hundred times."""
    pauses = Pauses()
    together = [pauses.next_seconds(n, None, 5, 10 + n) for n in range(1, 101)]
    assert together == [0, 0.1] + [0] * 98


@given(
    st.integers(0, 2**32),
    st.integers(1, 200),
    st.integers(1, 64),
    st.sampled_from([0, 10**7, SECOND]),
)
def test_retries_never_exceed_their_share_of_the_requests_and_of_time(
    seed: int, steps: int, workers: int, stride_ns: int
) -> None:
    dice = Random(seed)
    budget, now, fresh, retries = RetryBudget(0, 1 / workers), 0, 0, 0
    for _ in range(steps):
        now += dice.randrange(stride_ns + 1)
        if dice.random() < 0.5:
            budget.fresh += 1
            fresh += 1
        elif budget.spend(now) == 0:
            retries += 1
        per_second = BUDGET_PER_SECOND / workers
        allowed = max(1.0, per_second) + BUDGET_SHARE * fresh + per_second * now / SECOND
        assert retries <= allowed + 1e-6


@given(st.integers(0, 2**32), st.integers(1, 64))
def test_the_retry_budget_only_ever_means_waiting_and_the_wait_it_names_suffices(
    seed: int, workers: int
) -> None:
    dice = Random(seed)
    budget, now = RetryBudget(0, 1 / workers), 0
    for _ in range(50):
        now += dice.randrange(SECOND)
        while dice.random() < 0.9:
            wait_ns = budget.spend(now)
            assert 0 <= wait_ns <= workers * SECOND / BUDGET_PER_SECOND + 1
            if wait_ns:
                now += wait_ns
                assert budget.spend(now) == 0


def test_idle_time_saves_up_no_more_than_a_seconds_worth_of_retries() -> None:
    budget = RetryBudget(0)
    now = 3600 * SECOND
    granted = 0
    while budget.spend(now) == 0:
        granted += 1
    assert granted == BUDGET_PER_SECOND


def test_asking_often_does_not_lose_the_fractions_of_time() -> None:
    budget, granted = RetryBudget(0), 0
    for millisecond in range(10_000):
        granted += budget.spend(millisecond * 1_000_000) == 0
    assert granted in (109, 110)  # 10 saved at first, and 10 a second


@given(st.lists(st.integers(0, 5), min_size=1))
def test_the_heap_gives_the_earliest_first_and_equals_in_the_order_they_came(
    dues: list[int],
) -> None:
    heap: RetryHeap[tuple[int, int]] = RetryHeap()
    for number, due in enumerate(dues):
        heap.push(due, (due, number))
    assert len(heap) == len(dues)
    assert heap.due_ns() == min(dues)
    assert [heap.pop() for _ in dues] == sorted((due, number) for number, due in enumerate(dues))
    assert heap.due_ns() is None


@pytest.mark.parametrize(
    ("error_class", "down", "counts"),
    [
        ("server_error", False, True),
        ("server_error", True, False),
        ("dns", False, False),
        ("connect_timeout", True, False),
    ],
)
def test_an_attempt_counts_where_the_server_was_reached_and_is_not_down(
    error_class: str, down: bool, counts: bool
) -> None:
    verdict = Verdict("retry", error_class)
    assert after(verdict, endpoint_down=down).counts is counts
    last = after(verdict, attempts=5, max_attempts=5, endpoint_down=down)
    assert last.action == (FINISH if counts else AGAIN)


def test_requests_earn_retries() -> None:
    budget = RetryBudget(0)
    while budget.spend(0) == 0:
        pass
    for _ in range(round(3 / BUDGET_SHARE)):
        budget.fresh += 1
    granted = 0
    while budget.spend(0) == 0:
        granted += 1
    assert granted in (2, 3)  # the last one may lack a rounding error


def test_what_requests_earned_is_saved_up_to_a_bound() -> None:
    budget, granted = RetryBudget(0), 0
    for _ in range(1_000_000):
        budget.fresh += 1
    while budget.spend(0) == 0:
        granted += 1
    assert granted == 10_000
