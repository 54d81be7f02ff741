"""The line through samples."""

from __future__ import annotations

from random import Random

import pytest

from torture.flatness import line_through


def test_a_line_is_found_exactly() -> None:
    line = line_through([(float(t), 100 + 0.5 * t) for t in range(0, 100, 5)])
    assert line.slope == pytest.approx(0.5)
    assert line.growth(100) == pytest.approx(50 / line.level)


def test_peaks_do_not_move_it_and_a_slow_leak_shows_through_noise() -> None:
    dice = Random(4)
    flat = [(float(t), 1000 + dice.uniform(-20, 20)) for t in range(300)]
    peaks = [(t, value + (5000 if t % 20 == 0 else 0)) for t, value in flat]
    leak = [(t, value + 0.1 * t) for t, value in flat]
    assert abs(line_through(flat).growth(300)) < 0.005
    assert abs(line_through(peaks).growth(300)) < 0.01
    assert line_through(leak).growth(300) == pytest.approx(0.03, abs=0.005)


def test_too_few_samples_are_flat() -> None:
    assert line_through([]).growth(10) == 0
    assert line_through([(1.0, 5.0)]) == (5.0, 0.0)
