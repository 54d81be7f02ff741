"""Limits that are named, found, given and tuned, put into force on the real limiter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock._core import Slab
from penstock.engine.capacity import deal
from penstock.engine.governor import Governor, rate_of
from penstock.engine.limits import MINUTE_NS, NAMES, SECOND_NS, Rate, buckets_of, share
from penstock.engine.meter import M
from penstock.engine.plan import EndpointPlan
from penstock.engine.region import Layout, Region, configure
from penstock.job import Job
from penstock.observe.snapshot import Traffic
from penstock.providers.rate_headers import RateLimit

SEATS = 2
RPS, RPM, TPM = NAMES.index("rps"), NAMES.index("rpm"), NAMES.index("tpm")


class World:
    """A governor over two seats, whose meters are written by hand."""

    def __init__(self, places: int = 64, first: int = 32, room: int = 0, **job: Any) -> None:
        made = Job(**job)
        buckets = buckets_of(made, 100)
        self.region = Region.make(Layout((len(buckets),), SEATS + 1, places))
        self.limiter = self.region.limiter()
        configure(self.limiter, buckets, 0)
        endpoint = EndpointPlan(
            name="api",
            job=made,
            key=None,
            headers={},
            buckets=buckets,
            largest_tokens=100,
            room=room or places,
            places=places,
            first_places=first,
        )
        self.meters = [self.region.meter(seat, 0) for seat in range(SEATS)]
        half = [(room or places) // 2] * SEATS
        grants = self.region.grants()
        self.governor = Governor(endpoint, 0, self.limiter, grants, self.meters, half)
        self.now_ns = SECOND_NS

    def granted(self) -> list[int | None]:
        return [self.region.grants().get(seat, 0) for seat in range(SEATS)]

    def look(self, *, seats: tuple[int, ...] = (0, 1), **cells: int) -> None:
        """A quarter of a second later, `cells` more on the first seat's meter."""
        self.now_ns += SECOND_NS // 4
        for name, amount in cells.items():
            self.meters[0].add(M[name.upper()], amount)
        self.governor.look(self.now_ns, seats)

    def waits(self, requests: int) -> bool:
        """Whether the last of so many requests at once has to wait."""
        return any(self.limiter.reserve(self.now_ns, 0, 1, 1) < 0 for _ in range(requests))


def test_it_begins_with_the_first_places_dealt_to_the_seats() -> None:
    world = World(places=64, first=32)
    assert world.granted() == [16, 16]
    assert not world.waits(1000)
    world.look()
    assert world.granted() == [16, 16]


def test_what_requests_came_to_is_summed_over_seats_also_of_one_that_died() -> None:
    world = World()
    world.meters[1].add_each((M.ANSWERS, M.ERRORS), (7, 1))
    world.meters[1].set(M.IN_FLIGHT, 4)
    world.look(seats=(0,), answers=3, throttles=2)
    assert world.governor.traffic == Traffic(answered=10, throttled=2, failed=1)


def test_named_limits_hold_at_once_and_count_what_was_sent() -> None:
    world = World()
    world.look(answers=20)
    assert world.governor.told([RateLimit("requests", 600, 60, used=3)], world.now_ns) == []
    assert world.limiter.rate(RPM) == pytest.approx(10, rel=0.02)
    assert world.limiter.level(RPM, world.now_ns) < -19
    assert world.governor.in_force[RPM].how == "named"


def test_what_others_used_of_a_named_limit_is_not_there_for_this_run() -> None:
    world = World()
    world.look(answers=20)
    world.governor.told([RateLimit("requests", 600, 60, used=300)], world.now_ns)
    assert world.limiter.level(RPM, world.now_ns) < -299


def test_a_rate_that_is_found_is_kept_and_dropped_again() -> None:
    world = World()
    for found, waits in ((10.0, True), (None, False)):
        world.governor._paced = found
        world.governor._enforce(world.now_ns, {})
        world.now_ns += MINUTE_NS
        assert world.waits(1000) is waits


def test_a_named_limit_changes_the_bucket_once_and_not_with_each_answer() -> None:
    world = World()
    told = [RateLimit("requests", 600, 60), RateLimit("tokens", 50_000, 60)]
    world.governor.told(told, world.now_ns)
    world.limiter.pause(world.now_ns)
    world.now_ns += MINUTE_NS
    level = world.limiter.level(RPM, world.now_ns)
    for _ in range(10):
        world.governor.told(told, world.now_ns)
    assert world.limiter.level(RPM, world.now_ns) == level


def test_limits_by_the_second_are_kept_by_the_second_or_the_minute() -> None:
    world = World()
    world.governor.told([RateLimit("requests", 10, 1), RateLimit("tokens", 300, 1)], 0)
    assert world.limiter.rate(RPS) == pytest.approx(10, rel=0.02)
    assert world.limiter.rate(TPM) == pytest.approx(300, rel=0.02)


def test_a_limit_of_the_day_is_told_once_and_not_spread() -> None:
    world = World()
    told = [RateLimit("requests", 14_400, 86_400, used=30)]
    assert world.governor.told(told, 0) == told
    assert world.governor.told(told, 0) == []
    assert not world.waits(1000)


def test_what_is_given_is_taken_at_its_word_whatever_is_named() -> None:
    world = World(rpm=300)
    for named in (6000, 60):
        world.governor.told([RateLimit("requests", named, 60), RateLimit("tokens", 900, 60)], 0)
        assert world.governor.in_force[RPM].bucket.limit == 300
        assert world.governor.in_force[RPM].how == ""
    assert world.governor.in_force[TPM].bucket.limit == 900


def test_a_pause_of_seconds_bounds_the_rate_and_leaves_the_places() -> None:
    world = World()
    for _ in range(40):
        world.look(answers=15, latency_ns=15 * SECOND_NS // 2, output_tokens=150)
    world.limiter.record_throttle()
    world.limiter.pause(world.now_ns + 50 * SECOND_NS)
    world.look(throttles=8)
    assert world.governor.in_force[RPS].how == "found"
    assert world.limiter.rate(RPS) == pytest.approx(10, rel=0.1)  # 600 in a minute with its pause
    assert world.governor.places == 32


def test_what_a_dead_worker_had_in_flight_is_dropped_and_its_counts_stay() -> None:
    world = World()
    world.meters[1].set(M.IN_FLIGHT, 9)
    world.meters[1].add(M.ANSWERS, 70)
    world.look()
    assert world.meters[1].get(M.IN_FLIGHT) == 9
    world.look(seats=(0,))
    assert world.meters[1].get(M.IN_FLIGHT) == 0
    assert world.meters[1].get(M.ANSWERS) == 70


def test_tuned_limits_take_the_place_of_those_given() -> None:
    world = World(rpm=300, max_concurrency=20, places=20, first=20, room=100)
    assert world.granted() == [10, 10]
    assert world.governor.tune({"rpm": 1200, "tpm": 60_000}, 10, world.now_ns) == 10
    assert world.limiter.rate(RPM) == pytest.approx(20, rel=0.02)
    assert world.limiter.rate(TPM) == pytest.approx(1000, rel=0.02)
    world.look()
    assert world.granted() == [5, 5]
    assert world.governor.tune({}, 80, world.now_ns) == 80
    world.look()
    assert world.granted() == [40, 40]
    assert world.governor.tune({}, 800, world.now_ns) == 100  # there is no room for more


def test_a_rate_that_is_found_is_no_coarser_than_it_has_to_be() -> None:
    assert rate_of(9.7) == Rate(582, MINUTE_NS)
    assert rate_of(450.9) == Rate(450, SECOND_NS)
    assert rate_of(0.001) == Rate(1, MINUTE_NS)


@given(
    st.integers(0, 300),
    st.lists(st.integers(0, 40), min_size=1, max_size=9).filter(sum),
    st.integers(0, 100),
)
def test_places_are_dealt_all_and_no_seat_gets_more_than_it_has(
    places: int, most: list[int], turn: int
) -> None:
    seats = range(len(most))
    dealt = deal(places, most, seats, turn)
    assert all(got <= has or places < len(most) for got, has in zip(dealt, most, strict=True))
    assert sum(dealt) <= places or places >= sum(most)
    if len(most) <= places <= sum(most):
        assert sum(dealt) == places


def test_with_fewer_places_than_seats_each_has_its_turn() -> None:
    turns = [deal(2, [10] * 5, range(5), turn) for turn in range(5)]
    assert all(sum(dealt) == 2 for dealt in turns)
    assert [sum(seat) for seat in zip(*turns, strict=True)] == [2] * 5
    assert deal(1, [4, 4, 4], {2}, 0) == [0, 0, 1]  # no turn for the dead


@given(st.integers(1, 9), st.integers(0, 3000), st.integers(0, 5000))
def test_with_enough_places_no_seat_has_none(seats: int, more: int, room: int) -> None:
    """A worker without a place would keep its records for ever."""
    most = share(room + seats, seats)
    assert min(deal(seats + more, most, range(seats), 0)) >= 1
    assert deal(3, [683, 683, 682], range(3), 0) == [1, 1, 1]


def test_a_meter_is_written_by_its_worker_alone() -> None:
    world = World()
    before = world.meters[0].counters()
    world.look()
    assert isinstance(world.meters[0], Slab)
    assert world.meters[0].counters() == before
