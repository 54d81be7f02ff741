"""Slabs: counters and histograms in borrowed memory."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import twins
from penstock import _core
from penstock._core import HISTOGRAM_BUCKETS, LINE_BYTES, Slab


def core_slab(counters: int, histograms: int) -> Slab:
    memory = bytearray(LINE_BYTES + Slab.bytes_needed(counters, histograms))
    return Slab(memory, LINE_BYTES, counters, histograms)


@pytest.fixture(params=[core_slab, twins.Slab], ids=["core", "twin"])
def make(request: pytest.FixtureRequest) -> Callable[[int, int], Any]:
    maker: Callable[[int, int], Any] = request.param
    return maker


def test_counters_count_each_for_itself(make: Callable[[int, int], Any]) -> None:
    slab = make(3, 0)
    slab.add(0, 5)
    slab.add(0, -2)
    slab.set(2, 9)
    assert slab.counters() == [3, 0, 9]
    assert slab.get(2) == 9


def test_several_counters_are_added_to_in_one_call(make: Callable[[int, int], Any]) -> None:
    slab = make(4, 0)
    slab.add_each((3, 0, 3), (5, -2, 1))
    slab.add_each((), ())
    assert slab.counters() == [-2, 0, 0, 6]
    for counters, amounts, error in [((4,), (1,), IndexError), ((0, 1), (1,), ValueError)]:
        with pytest.raises(error):
            slab.add_each(counters, amounts)


def test_histograms_count_each_for_itself(make: Callable[[int, int], Any]) -> None:
    slab = make(1, 2)
    for value in (0, 7, 7, 2**50):
        slab.record(0, value)
    slab.record(1, 130)
    assert slab.counters() == [0]
    assert slab.total(0) == 14 + 2**50
    first, second = slab.histogram(0), slab.histogram(1)
    assert len(first) == HISTOGRAM_BUCKETS
    assert (first[0], first[7], first[-1], sum(first)) == (1, 2, 1, 4)
    assert (second[_core.bucket_of(130)], sum(second)) == (1, 1)


@given(st.lists(st.integers(0, 2**45)))
def test_the_core_counts_as_its_twin(values: list[int]) -> None:
    core, twin = core_slab(0, 1), twins.Slab(0, 1)
    for value in values:
        core.record(0, value)
        twin.record(0, value)
    assert core.histogram(0) == twin.histogram(0)
    assert core.total(0) == twin.total(0)


def test_another_handle_on_the_same_memory_reads_what_was_written() -> None:
    memory = mmap.mmap(-1, Slab.bytes_needed(9, 1))
    writer, reader = Slab(memory, 0, 9, 1), Slab(memory, 0, 9, 1)
    writer.add(8, 4)
    writer.record(0, 100)
    assert reader.counters() == [0] * 8 + [4]
    assert reader.total(0) == 100


@given(st.integers(0, 20), st.integers(0, 3))
def test_every_cell_is_its_own(counters: int, histograms: int) -> None:
    size = Slab.bytes_needed(counters, histograms)
    memory = bytearray(size + LINE_BYTES)
    slab = Slab(memory, 0, counters, histograms)
    for counter in range(counters):
        slab.set(counter, counter + 1)
    for histogram in range(histograms):
        for value in (0, 2**42):
            slab.record(histogram, value)
    assert slab.counters() == list(range(1, counters + 1))
    assert all(sum(slab.histogram(index)) == 2 for index in range(histograms))
    assert not any(memory[size:])
    assert size % LINE_BYTES == 0


def test_a_counter_wraps_and_does_not_stop() -> None:
    slab = core_slab(1, 0)
    slab.set(0, 2**63 - 1)
    slab.add(0, 1)
    assert slab.get(0) == -(2**63)


def test_a_negative_value_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        core_slab(0, 1).record(0, -1)


@pytest.mark.parametrize("index", [-1, 2, 2**31 - 1])
def test_a_cell_that_is_not_there_is_refused(index: int) -> None:
    slab = core_slab(2, 2)
    for use in (
        lambda: slab.add(index, 1),
        lambda: slab.set(index, 1),
        lambda: slab.get(index),
        lambda: slab.record(index, 1),
        lambda: slab.histogram(index),
        lambda: slab.total(index),
    ):
        with pytest.raises(IndexError):
            use()


def test_memory_that_is_too_small_is_refused() -> None:
    size = Slab.bytes_needed(3, 1)
    with pytest.raises(ValueError, match="fit"):
        Slab(bytearray(size - 1), 0, 3, 1)
    with pytest.raises(ValueError, match="multiple"):
        Slab(bytearray(size + 8), 8, 3, 1)


@pytest.mark.parametrize("shape", [(-1, 0), (0, -1), (2**31 - 1, 0), (0, 2**31 - 1)])
def test_an_absurd_shape_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="out of range"):
        Slab.bytes_needed(*shape)


def test_memory_can_not_be_closed_while_a_slab_lives() -> None:
    memory = mmap.mmap(-1, Slab.bytes_needed(1, 0))
    slab = Slab(memory, 0, 1, 0)
    with pytest.raises(BufferError):
        memory.close()
    slab.add(0, 1)
    del slab
    memory.close()
