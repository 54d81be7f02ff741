from __future__ import annotations

from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.simulator.draws import (
    attempt_drawer,
    draw_length,
    fingerprint,
    is_rejected,
    lognormal,
    uniforms,
)
from penstock.simulator.settings import Settings

keys = st.integers(0, 2**64 - 1)
MANY = [fingerprint(1, b"body %d" % number) for number in range(20_000)]


@given(keys, st.integers(0, 1000))
def test_draws_lie_strictly_between_0_and_1_and_repeat(key: int, turn: int) -> None:
    drawn = uniforms(key, turn)
    assert all(0 < one < 1 for one in drawn)
    assert drawn == uniforms(key, turn) != uniforms(key, turn + 1)


def test_draws_are_uniform_and_independent() -> None:
    columns = list(zip(*(uniforms(key, 3) for key in MANY), strict=True))
    for column in columns:
        assert fmean(column) == pytest.approx(0.5, abs=0.01)
        assert stdev(column) == pytest.approx((1 / 12) ** 0.5, abs=0.01)
    product = [a * b for a, b in zip(columns[0], columns[1], strict=True)]
    assert fmean(product) == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0])
def test_the_mean_is_the_mean_whatever_the_spread(spread: float) -> None:
    drawn = [lognormal(0.2, spread, uniforms(key, 1)[0]) for key in MANY]
    assert fmean(drawn) == pytest.approx(0.2, rel=0.05)
    assert (len(set(drawn)) == 1) == (spread == 0)


def test_each_fault_strikes_at_its_rate() -> None:
    draw = attempt_drawer(Settings(throttle=0.1, html_500=0.05, stray=0.2))
    faults = [draw(key, 1).fault for key in MANY]
    shares = {name: faults.count(name) / len(faults) for name in set(faults)}
    assert shares == pytest.approx(
        {"throttle": 0.1, "html_500": 0.05, "stray": 0.2, None: 0.65}, abs=0.015
    )


def test_rates_that_add_up_to_1_leave_no_attempt_alone() -> None:
    draw = attempt_drawer(Settings(empty=0.5, garbage=0.5))
    assert all(draw(key, 1).fault for key in MANY)


def test_the_next_attempt_of_a_record_is_drawn_anew() -> None:
    draw = attempt_drawer(Settings(empty=0.5))
    again = [draw(key, 2).fault for key in MANY if draw(key, 1).fault]
    assert again.count(None) / len(again) == pytest.approx(0.5, abs=0.03)


def test_another_seed_draws_differently() -> None:
    draw = attempt_drawer(Settings(empty=0.5))
    one, other = (
        [draw(fingerprint(seed, b"%d" % number), 1).fault for number in range(100)]
        for seed in (1, 2)
    )
    assert one != other


def test_the_rejected_are_a_share_of_records() -> None:
    settings = Settings(reject=0.02)
    assert sum(is_rejected(settings, key) for key in MANY) / len(MANY) == pytest.approx(
        0.02, abs=0.004
    )
    assert not any(is_rejected(Settings(), key) for key in MANY)


@given(keys, st.integers(1, 200) | st.none(), st.floats(0, 100), st.floats(0, 2))
def test_an_answer_keeps_within_max_tokens_and_says_when_it_was_cut(
    key: int, max_tokens: int | None, mean: float, spread: float
) -> None:
    settings = Settings(output_tokens=mean, output_tokens_spread=spread)
    free = draw_length(settings, key, None)
    bounded = draw_length(settings, key, max_tokens)
    assert free.tokens >= 1 and free.finish_reason == "stop"
    if max_tokens is None or free.tokens <= max_tokens:
        assert bounded == free
    else:
        assert bounded == (max_tokens, "length")
