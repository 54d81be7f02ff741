"""The shared memory of a run, as its processes see it."""

from __future__ import annotations

import os
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock._core import LINE_BYTES, REQUESTS, Limiter
from penstock.engine import region
from penstock.engine.limits import SECOND_NS, Bucket
from penstock.engine.meter import Grants, M, meter_bytes
from penstock.engine.region import Layout, Region, configure
from penstock.observe.slab_layout import C, started_cell, started_rows

LAYOUT = Layout(buckets=(2,), seats=3, slots=5)


@given(
    st.lists(st.integers(0, 64), min_size=1, max_size=5), st.integers(1, 64), st.integers(1, 3000)
)
def test_every_part_begins_on_a_cache_line(buckets: list[int], seats: int, slots: int) -> None:
    layout = Layout(tuple(buckets), seats, slots)
    starts = [layout.limiter_at(endpoint) for endpoint in range(len(buckets) + 1)]
    assert all(start % LINE_BYTES == 0 for start in (*starts, layout.seat_bytes))
    for count, (start, end) in zip(buckets, pairwise(starts), strict=True):
        assert end - start >= Limiter.bytes_needed(count)
    assert layout.meters_at - layout.limiters_bytes >= Grants.bytes_needed(seats, len(buckets))
    assert layout.seats_at - layout.meters_at >= seats * len(buckets) * meter_bytes()
    assert layout.size == layout.seats_at + seats * layout.seat_bytes
    assert all(part % LINE_BYTES == 0 for part in (layout.meters_at, layout.seats_at))


def test_endpoints_keep_limits_and_health_of_their_own() -> None:
    made = Region.make(Layout((1, 0, 2), 1, 1))
    other = [Bucket("rps", REQUESTS, limit, SECOND_NS, 1, 0) for limit in (50, 90)]
    configure(made.limiter(0), [Bucket("rps", REQUESTS, 5, SECOND_NS, 1, 0)], 0)
    configure(made.limiter(2), other, 0)
    made.limiter(1).record_failure()
    made.limiter(2).pause(7)
    assert [made.limiter(n).failures_in_a_row() for n in range(3)] == [0, 1, 0]
    assert [made.limiter(n).paused_until() for n in range(3)] == [0, 0, 7]
    assert (made.limiter(0).rate(0) < 6, made.limiter(2).rate(1) > 80) == (True, True)
    made.slab(0).add(C.REQUESTS_SENT, 9)
    assert made.limiter(2).rate(1) > 80
    made.close()


def test_what_one_process_writes_another_reads() -> None:
    ours = Region.make(LAYOUT)
    theirs = Region(LAYOUT, os.dup(ours.descriptor))
    for seat in range(3):
        slab = theirs.slab(seat)
        slab.add(C.REQUESTS_SENT, 10 + seat)
        slab.set(started_cell(4), 101 + seat)
    assert [ours.slab(seat).get(C.REQUESTS_SENT) for seat in range(3)] == [10, 11, 12]
    assert [started_rows(ours.slab(seat)) for seat in range(3)] == [[100], [101], [102]]
    theirs.close()
    ours.close()


def test_clearing_a_seat_leaves_the_others_and_the_limiter_alone() -> None:
    made = Region.make(LAYOUT)
    buckets = [Bucket("rps", REQUESTS, limit, SECOND_NS, 1, 0) for limit in (5, 9)]
    configure(made.limiter(), buckets, 0)
    made.limiter().record_failure()
    for seat in range(3):
        made.slab(seat).set(C.HEARTBEAT_NS, 7)
        made.slab(seat).set(started_cell(0), 2)
    made.clear_seat(1)
    assert [made.slab(seat).get(C.HEARTBEAT_NS) for seat in range(3)] == [7, 0, 7]
    assert [started_rows(made.slab(seat)) for seat in range(3)] == [[1], [], [1]]
    assert made.limiter().failures_in_a_row() == 1
    assert made.limiter().rate(1) > 8
    made.close()


def test_every_handle_on_the_limiter_keeps_the_same_limit() -> None:
    made = Region.make(Layout((1,), 1, 1))
    configure(made.limiter(), [Bucket("rps", REQUESTS, 1, SECOND_NS, 1, 0)], 0)
    one, other = made.limiter(), made.limiter()
    due = one.reserve(SECOND_NS, 2 * SECOND_NS, 0, 0)
    assert due >= 0
    assert other.reserve(due, 0, 0, 0) < 0
    made.close()


def test_without_memfd_the_region_is_a_file_without_a_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(region.os, "memfd_create", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = Region.make(LAYOUT)
    assert list(tmp_path.iterdir()) == []
    made.slab(0).add(C.SLOTS, 1)
    assert made.slab(0).get(C.SLOTS) == 1
    made.close()


def test_grants_and_meters_of_each_seat_and_endpoint_are_its_own() -> None:
    made = Region.make(Layout((1, 1), 3, 4))
    grants = made.grants()
    for seat in range(3):
        for endpoint in range(2):
            assert made.grants().get(seat, endpoint) is None
            grants.give(seat, endpoint, 10 * seat + endpoint)
            made.meter(seat, endpoint).add(M.ANSWERS, 100 * seat + endpoint)
    for seat in range(3):
        for endpoint in range(2):
            assert made.grants().get(seat, endpoint) == 10 * seat + endpoint
            assert made.meter(seat, endpoint).get(M.ANSWERS) == 100 * seat + endpoint
        made.clear_seat(seat)
    assert made.grants().get(0, 0) == 0
    assert made.meter(2, 1).get(M.ANSWERS) == 201
    made.close()
