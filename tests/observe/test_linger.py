from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.observe.linger import MOST_SECONDS, linger_seconds


def test_metrics_that_nobody_scraped_go_at_once() -> None:
    assert linger_seconds([], 100.0, 100.0) == 0.0


def test_metrics_stay_for_two_intervals_from_the_end() -> None:
    assert linger_seconds([70.0, 85.0, 100.0], 105.0, 105.0) == 30.0
    assert linger_seconds([70.0, 85.0, 100.0], 105.0, 125.0) == 10.0
    assert linger_seconds([70.0, 85.0, 100.0], 105.0, 136.0) == 0.0


def test_one_scrape_tells_no_interval_so_the_most_is_waited() -> None:
    assert linger_seconds([3.0], 5.0, 5.0) == MOST_SECONDS


def test_a_second_scrape_after_the_end_shortens_the_wait() -> None:
    assert linger_seconds([3.0, 8.0], 5.0, 8.0) == 7.0


def test_two_scrapers_in_turn_are_both_waited_for() -> None:
    assert linger_seconds([0.0, 3.0, 15.0, 18.0, 30.0], 31.0, 31.0) == 24.0


@pytest.mark.parametrize("interval", [31.0, 300.0])
def test_a_slow_scraper_is_not_waited_for_longer_than_the_most(interval: float) -> None:
    assert linger_seconds([0.0, interval], interval, interval) == MOST_SECONDS


@given(st.lists(st.floats(0, 1e6), max_size=20).map(sorted), st.floats(0, 1e6), st.floats(0, 1e6))
def test_the_wait_is_bounded_and_ends(times: list[float], ended: float, passed: float) -> None:
    assert 0 <= linger_seconds(times, ended, ended) <= MOST_SECONDS
    later = ended + MOST_SECONDS + passed + 1e-6
    assert linger_seconds(times, ended, later) == 0.0
