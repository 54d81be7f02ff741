"""How much the endpoints of a job take together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.endpoints import Endpoint, endpoints_of
from penstock.engine import limits
from penstock.engine.capacity import (
    first_places,
    places_of,
    shares,
    slots_of,
    usual_slots,
    workers_of,
)
from penstock.job import Job


def several(*tables: dict[str, Any], **job: Any) -> tuple[Endpoint, ...]:
    named = tuple({"name": str(n), **table} for n, table in enumerate(tables))
    return endpoints_of(Job(endpoints=named, **job))


@pytest.mark.parametrize("job", [{}, {"rps": 90}, {"max_concurrency": 7}, {"rpm": 6, "workers": 3}])
def test_one_endpoint_takes_what_its_limits_say(job: dict[str, Any]) -> None:
    (one,) = found = endpoints_of(Job(**job))
    most = limits.concurrency(one.job) if job else limits.MOST_SLOTS
    assert places_of(found) == [most]
    assert slots_of(found) == limits.MOST_SLOTS  # there is room to tune it to more
    assert usual_slots(found) == limits.concurrency(one.job)
    first = first_places(one, most)
    assert first == (most if job else limits.FIRST_SLOTS)
    assert workers_of(found, 8) == limits.worker_count(one.job, 8)


def test_each_has_the_places_that_it_is_given_or_its_rate_needs() -> None:
    found = several({"max_concurrency": 3}, {"rps": 10}, {})
    assert places_of(found) == [3, 200, 2048]
    assert slots_of(found) == 2251
    assert places_of(several({}, {}, max_concurrency=5)) == [5, 5]


def test_where_nothing_is_said_places_are_shared_out_by_weight() -> None:
    assert places_of(several({"weight": 3}, {"weight": 1})) == [1536, 512]
    assert places_of(several({"weight": 1e-9}, {})) == [32, 2048]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 7))
def test_places_are_dealt_to_workers_evenly_and_none_is_lost(
    places: list[int], workers: int
) -> None:
    dealt = shares(places, workers)
    assert [sum(column) for column in zip(*dealt, strict=True)] == places
    in_all = sorted(map(sum, dealt))
    assert in_all[-1] - in_all[0] <= 1
    for endpoint, count in enumerate(places):
        assert {own[endpoint] - count // workers for own in dealt} <= {0, 1}
