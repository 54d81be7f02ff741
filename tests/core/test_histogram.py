"""Histogram buckets and quantiles within the error that is promised."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import twins
from penstock._core import (
    HISTOGRAM_BUCKETS,
    HISTOGRAM_ERROR,
    Slab,
    bucket_of,
    bucket_upper,
    quantile,
)

values_held = st.one_of(
    st.integers(0, 300),
    st.integers(0, 2**42 - 1),
    st.builds(lambda power, near: max(0, 2**power + near), st.integers(0, 41), st.integers(-2, 2)),
)


def counted(values: list[int]) -> list[int]:
    slab = Slab(bytearray(Slab.bytes_needed(0, 1)), 0, 0, 1)
    for value in values:
        slab.record(0, value)
    return slab.histogram(0)


def test_the_buckets_cover_all_values_without_gap_or_overlap() -> None:
    lower = 0
    for bucket in range(HISTOGRAM_BUCKETS):
        upper = bucket_upper(bucket)
        assert lower <= upper
        assert bucket_of(lower) == bucket_of(upper) == bucket
        lower = upper + 1
    assert lower == 2**42


@given(st.integers(0, 2**63 - 1))
def test_a_value_falls_into_the_bucket_that_the_twin_names(value: int) -> None:
    assert bucket_of(value) == twins.bucket_of(value)


def test_small_values_are_exact_and_huge_ones_share_the_last_bucket() -> None:
    assert [bucket_upper(value) for value in range(128)] == list(range(128))
    assert bucket_of(2**42) == bucket_of(2**63 - 1) == HISTOGRAM_BUCKETS - 1


@given(st.lists(values_held, min_size=1), st.floats(0, 1))
def test_a_quantile_is_within_the_promised_error(values: list[int], q: float) -> None:
    true = twins.quantile(values, q)
    assert abs(quantile(counted(values), q) - true) <= HISTOGRAM_ERROR * true


@given(st.lists(values_held, min_size=1, max_size=30), st.floats(0, 1))
def test_counts_may_come_as_a_list_or_as_a_buffer(values: list[int], q: float) -> None:
    counts = counted(values)
    assert quantile(array("q", counts), q) == quantile(counts, q)


@given(st.lists(values_held), st.lists(values_held), st.floats(0, 1))
def test_the_sum_of_two_histograms_is_the_histogram_of_all(
    some: list[int], others: list[int], q: float
) -> None:
    summed = [a + b for a, b in zip(counted(some), counted(others), strict=True)]
    assert summed == counted(some + others)
    assert quantile(summed, q) == quantile(counted(some + others), q)


def test_an_empty_histogram_has_only_zeros() -> None:
    assert quantile([0] * HISTOGRAM_BUCKETS, 0.5) == 0.0


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_quantile_beyond_one_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        quantile([0] * HISTOGRAM_BUCKETS, q)


@pytest.mark.parametrize("size", [0, 1, HISTOGRAM_BUCKETS - 1, HISTOGRAM_BUCKETS + 1])
def test_counts_of_another_shape_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="counts"):
        quantile([1] * size, 0.5)


@pytest.mark.parametrize("bucket", [-1, HISTOGRAM_BUCKETS, 2**31 - 1])
def test_a_bucket_that_is_not_there_is_refused(bucket: int) -> None:
    with pytest.raises(IndexError):
        bucket_upper(bucket)


def test_a_negative_value_has_no_bucket() -> None:
    with pytest.raises(ValueError, match="negative"):
        bucket_of(-1)
