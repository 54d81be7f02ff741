from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock._core import HISTOGRAM_ERROR, Slab
from penstock.observe.slab_layout import (
    GAUGES,
    C,
    H,
    open_slab,
    request_cell,
    retry_cell,
    slab_bytes,
)
from penstock.observe.tally import Tally

COUNTERS = [cell for cell in C if cell not in GAUGES]


def a_slab() -> Slab:
    return open_slab(bytearray(slab_bytes(2)), 0, 2)


def test_totals_of_no_worker_are_zero() -> None:
    totals = Tally().totals()
    assert not any(totals.cells)
    assert totals.requests() == 0
    assert totals.request_seconds(0.5) is None


def test_totals_add_up_over_workers() -> None:
    tally, left, right = Tally(), a_slab(), a_slab()
    tally.attach(0, left)
    tally.attach(1, right)
    left.add(C.CACHED_INPUT_TOKENS, 5)
    right.add(C.CACHED_INPUT_TOKENS, 7)
    left.add(request_cell(200, "success"), 2)
    right.add(request_cell(200, "success"), 1)
    right.add(request_cell(-1, "connect"), 1)
    right.add(retry_cell("connect"), 1)
    totals = tally.totals()
    assert totals.tokens()["cached_input"] == 12
    assert totals.requests() == 4
    assert totals.requests_by_class() == {("2xx", "success"): 3, ("transport", "connect"): 1}
    assert totals.retries() == 1
    assert totals.retries_by_reason()["connect"] == 1
    assert "success" not in totals.retries_by_reason()


def test_a_dead_worker_keeps_its_counts_and_loses_its_gauges() -> None:
    tally, slab = Tally(), a_slab()
    tally.attach(0, slab)
    slab.add(C.REQUESTS_SENT, 5)
    slab.set(C.IN_FLIGHT, 3)
    slab.record(H.REQUEST_US, 2_000_000)
    tally.retire(0)
    totals = tally.totals()
    assert totals[C.REQUESTS_SENT] == 5
    assert totals[C.IN_FLIGHT] == 0
    assert totals.request_seconds(0.5) == pytest.approx(2.0, rel=HISTOGRAM_ERROR)
    assert totals.sums[H.REQUEST_US] == 2_000_000


def test_what_a_dead_worker_had_in_flight_is_spent_and_lost() -> None:
    tally, slab = Tally(), a_slab()
    tally.attach(0, slab)
    slab.add(C.SPENT_PUSD, 70)
    slab.add(C.LOST_PUSD, 3)
    slab.add(C.OPEN_PUSD, 40)
    slab.add(C.UNTOLD_PUSD, 5)
    tally.retire(0)
    cells = (C.SPENT_PUSD, C.LOST_PUSD, C.OPEN_PUSD, C.UNTOLD_PUSD)
    assert [tally.totals()[cell] for cell in cells] == [110, 43, 0, 0]


def test_a_dead_workers_slab_may_be_used_again() -> None:
    memory = bytearray(slab_bytes(2))
    tally = Tally()
    for worker in range(3):
        memory[:] = bytes(len(memory))
        slab = open_slab(memory, 0, 2)
        tally.attach(worker, slab)
        slab.add(C.THROTTLES, 1)
        tally.retire(worker)
        del slab
    assert tally.totals()[C.THROTTLES] == 3


def test_reading_totals_does_not_change_them() -> None:
    tally, slab = Tally(), a_slab()
    slab.add(C.THROTTLES, 1)
    tally.attach(0, slab)
    tally.retire(0)
    tally.attach(1, slab)
    assert tally.totals() == tally.totals()


steps = st.one_of(
    st.tuples(st.just("spawn"), st.just(0), st.just(0)),
    st.tuples(st.just("die"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("count"), st.integers(0, 3), st.sampled_from(COUNTERS)),
    st.tuples(st.just("time"), st.integers(0, 3), st.integers(0, 10**9)),
)


@given(st.lists(steps, max_size=30))
def test_no_counter_ever_falls_whatever_workers_do(history: list[tuple[str, int, int]]) -> None:
    tally, live, born = Tally(), dict[int, Slab](), 0
    before = tally.totals()
    for what, which, value in history:
        slab = live.get(which)
        if what == "spawn":
            live[born] = a_slab()
            tally.attach(born, live[born])
            born += 1
        elif slab is None:
            continue
        elif what == "die":
            tally.retire(which)
            del live[which]
        elif what == "count":
            slab.add(value, 1)
        else:
            slab.record(H.REQUEST_US, value)
        now = tally.totals()
        assert all(now[cell] >= before[cell] for cell in COUNTERS)
        for old, new in zip(before.histograms, now.histograms, strict=True):
            assert all(map(int.__le__, old, new))
        assert all(map(int.__le__, before.sums, now.sums))
        before = now
