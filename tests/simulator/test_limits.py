from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.simulator.limits import (
    MINUTE_NS,
    SECOND_NS,
    Limits,
    SlidingWindow,
    format_duration,
    wait_headers,
)
from penstock.simulator.settings import Settings

MS = 1_000_000


@given(
    st.integers(1, 20),
    st.integers(1, 50),
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 8)), max_size=60),
)
def test_a_window_admits_exactly_what_fits_into_it(
    limit: int, width_ns: int, arrivals: list[tuple[int, int]]
) -> None:
    window, now_ns, admitted = SlidingWindow(limit, width_ns), 0, []
    for gap_ns, cost in arrivals:
        now_ns += gap_ns
        used = sum(old for then_ns, old in admitted if now_ns - width_ns < then_ns)
        wait_ns = window.wait_ns(now_ns, cost)
        assert (wait_ns == 0) == (used + cost <= limit)
        assert window.remaining(now_ns) == limit - used
        if wait_ns == 0:
            window.add(now_ns, cost)
            admitted.append((now_ns, cost))


@given(
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 8)), min_size=1, max_size=60),
)
def test_a_wait_is_the_shortest_after_which_the_request_passes(
    limit: int, arrivals: list[tuple[int, int]]
) -> None:
    window, now_ns = SlidingWindow(limit, 40), 0
    for gap_ns, cost in arrivals:
        now_ns += gap_ns
        wait_ns = window.wait_ns(now_ns, cost)
        if not wait_ns:
            window.add(now_ns, cost)
        elif cost <= limit:
            assert window.wait_ns(now_ns + wait_ns - 1, cost) == 1
            assert window.wait_ns(now_ns + wait_ns, cost) == 0
            now_ns += wait_ns
        else:
            assert wait_ns <= 40


def test_501_requests_in_a_second_meet_a_429_wherever_the_second_begins() -> None:
    limits = Limits(Settings(rps=500))
    times = [start * SECOND_NS + 700 * MS + number for start in range(3) for number in range(500)]
    assert all(limits.admit(now_ns, 1, 0) is None for now_ns in times)
    refused = limits.admit(3 * SECOND_NS + 699 * MS, 1, 0)
    assert refused is not None
    assert (refused.name, refused.limit, refused.used) == ("rps", 500, 500)
    assert refused.wait_ns == MS


def test_a_request_passes_all_limits_or_uses_none() -> None:
    limits = Limits(Settings(rps=10, rpm=20, tpm=100))
    assert limits.admit(0, 60, 0) is None
    refused = limits.admit(1, 60, 0)
    assert refused is not None and refused.name == "tpm"
    assert "x-ratelimit-remaining-requests: 19\r\n" in limits.headers(2)
    assert "x-ratelimit-remaining-tokens: 40\r\n" in limits.headers(2)


def test_refused_requests_count_where_the_provider_counts_them() -> None:
    limits = Limits(Settings(rps=1, count_refused=True))
    assert limits.admit(0, 1, 0) is None
    assert limits.admit(SECOND_NS - 1, 1, 0) is not None
    again = limits.admit(SECOND_NS, 1, 0)
    assert again is not None and again.wait_ns == SECOND_NS - 1


def test_a_request_larger_than_the_limit_never_passes() -> None:
    limits = Limits(Settings(tpm=100))
    for minute in range(3):
        refused = limits.admit(minute * 2 * MINUTE_NS, 101, 0)
        assert refused is not None and refused.wait_ns == MINUTE_NS


def test_concurrency_refuses_only_while_places_are_taken() -> None:
    limits = Limits(Settings(concurrency=2))
    assert limits.admit(0, 1, 1) is None
    refused = limits.admit(0, 1, 2)
    assert refused is not None and refused.name == "concurrency"
    assert limits.admit(0, 1, 1) is None


def test_headers_state_limit_remaining_and_reset_and_only_for_limits_there_are() -> None:
    limits = Limits(Settings(rpm=60, tpm=1000))
    limits.admit(0, 300, 0)
    assert limits.headers(SECOND_NS) == (
        "x-ratelimit-limit-requests: 60\r\n"
        "x-ratelimit-remaining-requests: 59\r\n"
        "x-ratelimit-reset-requests: 59s\r\n"
        "x-ratelimit-limit-tokens: 1000\r\n"
        "x-ratelimit-remaining-tokens: 700\r\n"
        "x-ratelimit-reset-tokens: 59s\r\n"
    )
    assert Limits(Settings()).headers(0) == ""


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0ms"),
        (1, "1ms"),
        (12 * MS, "12ms"),
        (SECOND_NS, "1s"),
        (1_500 * MS, "1.5s"),
        (59_999 * MS, "59.999s"),
        (6 * MINUTE_NS, "6m0s"),
        (61 * MINUTE_NS + 2 * SECOND_NS, "1h1m2s"),
    ],
)
def test_durations_are_written_as_openai_writes_them(duration_ns: int, text: str) -> None:
    assert format_duration(duration_ns) == text


def test_a_wait_is_told_in_whole_seconds_and_in_milliseconds_never_too_short() -> None:
    assert wait_headers(1_200 * MS + 1) == "retry-after: 2\r\nretry-after-ms: 1201\r\n"


def test_limits_may_be_told_in_other_ways_or_not_at_all() -> None:
    def told(way: str) -> str:
        return Limits(Settings(rps=10, tpm=6000, rate_headers=way)).headers(0)  # type: ignore[arg-type]

    assert "x-ratelimit-limit-tokens: 6000\r\n" in told("dialect")
    assert "requests" not in told("dialect")  # a second's limit would be taken for a minute's
    assert told("together") == "x-ratelimit-limit: 10\r\nx-ratelimit-limit-tokens: 100\r\n"
    assert "x-ratelimit-limit-tokens: 0\r\n" in told("azure")
    assert "x-ratelimit-remaining-requests: -1\r\n" in told("azure")
    assert told("none") == ""
