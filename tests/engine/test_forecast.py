from __future__ import annotations

import random
from typing import Any

import pytest

from penstock._core import FIRST_OUTPUT_TOKENS
from penstock.engine.forecast import (
    LEAST_MEASURED,
    Interval,
    Measured,
    Sampled,
    bounded,
    exactly,
    forecast,
    guessed_output,
    mean,
    ratio,
    student,
)
from penstock.engine.rates import changed
from penstock.job import Job

SAMPLED = Sampled([100] * 50, [0] * 50)


def measured(records: int = 20, **more: Interval) -> Measured:
    given = {"latency_seconds": exactly(2.0), **more}
    return Measured(
        records=records, input_ratio=exactly(1.1), output_tokens=Interval(50.0, 40.0, 60.0), **given
    )


def test_the_interval_of_a_mean_holds_it_as_often_as_it_says() -> None:
    """Seeds 0 to 399: the true mean is outside in about 5 % of samples."""
    outside = 0
    for seed in range(400):
        chance = random.Random(seed)
        found = mean([chance.gauss(100, 30) for _ in range(20)])
        outside += not found.low <= 100 <= found.high
    assert 8 <= outside <= 36


def test_a_sample_of_everything_is_no_estimate_and_one_value_tells_little() -> None:
    assert mean([1.0, 2.0, 3.0], 3) == Interval(2.0, 2.0, 2.0)
    one = mean([100.0])
    assert one.low < 50 < 200 < one.high
    assert mean([]) == exactly(0.0)


@pytest.mark.parametrize(("freedom", "true"), [(4, 2.776), (9, 2.262), (19, 2.093), (99, 1.984)])
def test_students_quantile_is_within_a_percent(freedom: int, true: float) -> None:
    assert student(freedom) == pytest.approx(true, rel=0.01)


def test_what_was_predicted_is_corrected_by_what_came() -> None:
    found = ratio([110, 220, 330], [100, 200, 300])
    assert (found.expected, found.low, found.high) == pytest.approx((1.1, 1.1, 1.1))
    wild = ratio([50, 400, 200], [100, 200, 300])
    assert wild.low < wild.expected < wild.high
    assert ratio([5], [5]).high > 1.5  # one record tells little


def test_relative_errors_of_a_product_add_up_as_squares() -> None:
    found = Interval(10, 7, 13).times(Interval(2, 1.2, 2.8))
    assert (found.expected, found.low, found.high) == pytest.approx((20, 10, 30))


@pytest.mark.parametrize(
    ("options", "requests"),
    [
        ({}, 4),  # 1,000 rows by 256
        ({"rows_per_request": 100}, 10),
        ({"provider": "gemini", "rows_per_request": 300}, 10),
        ({"tpm": 20_000}, 100),  # no more than 1,000 tokens each
    ],
)
def test_vectors_take_few_requests_and_have_no_output(
    options: dict[str, Any], requests: int
) -> None:
    found = forecast(Job(task="embed", rpm=600, **options), 1000, SAMPLED, None, workers=1)
    assert found.requests == requests
    assert found.output_tokens == exactly(0)
    assert found.needs_seconds["rpm"] == pytest.approx(requests / 10)
    whole = forecast(Job(rpm=600), 1000, SAMPLED, None, workers=1)
    assert found.needs_seconds["cpu"] == whole.needs_seconds["cpu"]


def test_the_limit_that_needs_longest_is_what_limits() -> None:
    job = Job(rpm=600, tpm=30_000, max_concurrency=10)
    found = forecast(job, 1000, SAMPLED, measured(), workers=1)
    assert (found.requests, found.measured) == (1000, 20)
    assert found.input_tokens.expected == pytest.approx(110_000)
    assert found.output_tokens == Interval(50_000, 40_000, 60_000)
    needs = found.needs_seconds
    assert needs["rpm"] == pytest.approx(100)
    assert needs["tpm"] == pytest.approx(320)
    assert needs["concurrency"] == pytest.approx(200)
    assert (found.limited_by, found.seconds.expected) == ("tpm", pytest.approx(320))
    assert found.seconds.low < 320 < found.seconds.high
    slow = forecast(job, 1000, SAMPLED, measured(latency_seconds=exactly(20.0)), workers=1)
    assert (slow.limited_by, slow.seconds.expected) == ("concurrency", pytest.approx(2000))


def test_retries_and_records_without_a_request_change_what_is_sent() -> None:
    half = Sampled([100] * 10, [0] * 10, unrenderable=10)
    known = Measured(
        records=20,
        input_ratio=exactly(1.0),
        output_tokens=exactly(10.0),
        latency_seconds=exactly(1.0),
        attempts=1.5,
    )
    found = forecast(Job(rpm=60), 1000, half, known, workers=1)
    assert found.requests == 750
    assert found.input_tokens.expected == pytest.approx(50_000)


def test_before_anything_is_done_output_is_a_guess_within_what_the_request_allows() -> None:
    found = forecast(Job(), 10, SAMPLED, None, workers=1)
    assert found.measured == 0
    assert found.output_tokens.low < 10 * 64 < 10 * FIRST_OUTPUT_TOKENS
    assert found.output_tokens.high > 10 * 1000
    short = Sampled([100], [20])
    assert guessed_output(short).high == 20
    assert bounded(Interval(50, 40, 60), Sampled([1, 1], [20, 0])).expected == 50
    few = forecast(Job(), 10, SAMPLED, measured(LEAST_MEASURED - 1), workers=1)
    assert few.measured == 0


def test_before_anything_is_done_the_cost_is_by_the_price() -> None:
    rates = changed(None, {"input": 1.0, "output": 10.0})
    found = forecast(Job(), 1000, Sampled([100] * 10, [20] * 10), None, 1, rates)
    assert found.cost_usd is not None
    assert found.cost_usd.expected == pytest.approx(1000 * (100 * 1e-6 + 20 * 10e-6))
    assert found.cost_usd.low < found.cost_usd.expected < found.cost_usd.high


def test_what_records_cost_is_what_others_will() -> None:
    found = forecast(Job(), 1000, SAMPLED, measured(cost_usd=exactly(0.01)), workers=1)
    assert found.cost_usd is not None and found.cost_usd.expected == pytest.approx(10.0)
    assert forecast(Job(), 0, SAMPLED, measured(), workers=1).seconds.expected == 0
