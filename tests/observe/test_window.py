from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.observe.window import Growth, Window

SECOND = 1_000_000_000


def test_a_steady_counter_has_its_rate() -> None:
    window = Window(60 * SECOND, SECOND)
    for second in range(30):
        window.add(second * SECOND, [second * 50])
    growth = window.growth(30 * SECOND, [1500], 10 * SECOND)
    assert growth.elapsed_ns == 10 * SECOND
    assert growth.per_second(0) == 50.0


def test_a_burst_is_forgotten_once_it_is_older_than_the_window() -> None:
    window = Window(60 * SECOND, SECOND)
    window.add(0, [0])
    for second in range(1, 20):
        window.add(second * SECOND, [1_000_000])
    assert window.growth(20 * SECOND, [1_000_000], 10 * SECOND).per_second(0) == 0.0


def test_a_young_window_measures_from_its_first_sample() -> None:
    window = Window(60 * SECOND, SECOND)
    window.add(5 * SECOND, [100])
    growth = window.growth(7 * SECOND, [120], 10 * SECOND)
    assert growth == Growth(2 * SECOND, [20])


def test_an_empty_window_has_no_rate() -> None:
    assert Window(SECOND, 1).growth(5, [7], SECOND).per_second(0) == 0.0


@given(st.lists(st.integers(1, 3 * SECOND), max_size=200), st.integers(1, 20))
def test_memory_stays_bounded_and_the_span_is_kept(gaps: list[int], span_seconds: int) -> None:
    window, now = Window(20 * SECOND, SECOND // 4), 0
    for gap in gaps:
        now += gap
        window.add(now, [now])
        growth = window.growth(now, [now], span_seconds * SECOND)
        assert growth.amounts == [growth.elapsed_ns]
        assert growth.elapsed_ns < span_seconds * SECOND + 3 * SECOND + SECOND // 4
    assert len(window._samples) <= 20 * 4 + 2
