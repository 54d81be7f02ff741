"""The limiter's promise, in virtual time, of the core and of its twin."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.worlds import IMPLEMENTATIONS, HandleMaker, Spec, World, core_handles, twin_handles
from penstock._core import (
    INPUT_TOKENS,
    LINE_BYTES,
    OUTPUT_TOKENS,
    PAUSED,
    REQUESTS,
    TOTAL_TOKENS,
    Limiter,
)

SECOND = 1_000_000_000
MINUTE = 60 * SECOND


@pytest.fixture(params=list(IMPLEMENTATIONS))
def make(request: pytest.FixtureRequest) -> HandleMaker:
    return IMPLEMENTATIONS[request.param]


@st.composite
def specs(draw: st.DrawFn, resources: st.SearchStrategy[int]) -> Spec:
    """Small numbers, so that every rounding and every edge of a window is met."""
    limit = draw(st.integers(1, 12))
    return Spec(
        resource=draw(resources),
        limit=limit,
        window_ns=draw(st.integers(1, 90)),
        ceiling=draw(st.integers(1, limit)),
        late_ns=draw(st.integers(0, 20)),
    )


any_resource = st.sampled_from([REQUESTS, TOTAL_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS])
bucket_lists = st.lists(specs(any_resource), min_size=1, max_size=3)
# A schedule is a seed and a length: a shorter one is the beginning of a longer one, so it shrinks,
# and it is drawn many times faster than its steps one by one.
seeds = st.integers(0, 2**32)
lengths = st.integers(10, 90)


def random_step(dice: Random, kinds: str) -> tuple[Any, ...]:
    kind = dice.choice(kinds.split())
    handle, tokens = dice.randrange(3), (dice.randrange(16), dice.randrange(16))
    if kind == "reserve":
        lateness, lost = dice.choice([0.0, 0.5, 1.0]), dice.random() < 0.2
        return kind, handle, dice.randrange(120), *tokens, lateness, lost
    if kind == "burst":
        return (
            kind,
            handle,
            dice.randrange(1, 12),
            dice.randrange(40),
            dice.choice([0.0, 1.0]),
            *tokens,
        )
    if kind == "settle":
        return kind, handle, dice.randrange(10), *tokens
    if kind == "advance":
        return kind, dice.randrange(dice.choice([10, 120]))
    if kind == "pause":
        return kind, handle, dice.randrange(100)
    limit = dice.randint(1, 12)
    new = Spec(0, limit, dice.randint(1, 90), dice.randint(1, limit), dice.randrange(20))
    return kind, handle, new


def schedule(seed: int, length: int, kinds: str) -> Iterator[tuple[Any, ...]]:
    dice = Random(seed)
    return (random_step(dice, kinds) for _ in range(length))


def play(world: World, step: tuple[Any, ...]) -> object:
    name, *arguments = step
    if name == "burst":
        which, times, horizon, lateness, inputs, outputs = arguments
        return [
            world.reserve(which, horizon, inputs, outputs, lateness, False) for _ in range(times)
        ]
    if name in ("tune", "retune"):
        bucket = arguments[0] % len(world.specs)
        old = world.specs[bucket]
        new = arguments[1] if name == "tune" else old
        spec = Spec(old.resource, new.limit, new.window_ns, new.ceiling, new.late_ns)
        arguments = [bucket, spec]
        name = "tune"
    return getattr(world, name)(*arguments)


@settings(max_examples=250)
@given(bucket_lists, seeds, lengths)
@pytest.mark.parametrize("make", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)
@pytest.mark.parametrize(
    "kinds",
    ["reserve burst advance", "burst advance settle", "reserve burst advance settle pause retune"],
)
def test_no_window_of_send_times_holds_more_than_the_limit(
    make: HandleMaker, kinds: str, buckets: list[Spec], seed: int, length: int
) -> None:
    world = World(make(buckets, 3), buckets)
    for step in schedule(seed, length, kinds):
        play(world, step)
    world.check()


@settings(max_examples=250)
@given(bucket_lists, seeds, lengths)
@pytest.mark.parametrize("make", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)
def test_a_tune_holds_at_once_and_gains_no_burst(
    make: HandleMaker, buckets: list[Spec], seed: int, length: int
) -> None:
    world = World(make(buckets, 3), buckets)
    for step in schedule(seed, length, "reserve burst burst advance advance settle pause tune"):
        play(world, step)
    world.check()


@given(bucket_lists, seeds, lengths)
def test_the_core_answers_exactly_as_its_twin(buckets: list[Spec], seed: int, length: int) -> None:
    core, twin = (World(make(buckets, 3), list(buckets)) for make in IMPLEMENTATIONS.values())
    for step in schedule(seed, length, "reserve burst advance settle pause retune tune"):
        assert play(core, step) == play(twin, step)
        assert state(core) == state(twin)


def state(world: World) -> list[Any]:
    buckets = range(len(world.specs))
    return [
        [handle.generation, handle.blocking, handle.paused_until()]
        + [handle.level(index, world.now) for index in buckets]
        for handle in world.handles
    ]


@given(
    st.integers(1, 10**12),
    st.floats(0, 1),
    st.integers(1, 86_400 * SECOND),
    st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, MINUTE)), max_size=20),
)
def test_the_core_answers_as_its_twin_at_the_scale_of_real_limits(
    limit: int, share: float, window_ns: int, calls: list[tuple[int, int]]
) -> None:
    spec = Spec(TOTAL_TOKENS, limit, window_ns, max(1, int(share * limit / 2)), SECOND // 20)
    (core,), (twin,) = core_handles([spec], 1), twin_handles([spec], 1)
    now = 0
    for cost, step in calls:
        now += step
        assert core.reserve(now, 10**18, cost, 0) == twin.reserve(now, 10**18, cost, 0)
        assert core.level(0, now) == pytest.approx(twin.level(0, now))


@given(bucket_lists, seeds, lengths)
def test_a_wait_beyond_the_horizon_takes_nothing(
    buckets: list[Spec], seed: int, length: int
) -> None:
    world = World(core_handles(buckets, 3), buckets)
    for step in schedule(seed, length, "reserve burst advance"):
        play(world, step)
    limiter, now, costs = world.handles[0], world.now, (seed % 13, seed % 7)
    before = [limiter.level(index, now) for index in range(len(buckets))]
    due = limiter.reserve(now, seed % 30, *costs)
    if due < 0:
        assert -due > seed % 30
        assert [limiter.level(index, now) for index in range(len(buckets))] == before
        assert limiter.reserve(now, -due, *costs) == now - due
    else:
        assert now <= due <= now + seed % 30


@pytest.mark.parametrize("cost", [1, 7, 40])
def test_a_saturated_bucket_gives_its_whole_rate(make: HandleMaker, cost: int) -> None:
    first, second = make([Spec(TOTAL_TOKENS, 1000, SECOND, 40, SECOND // 100)], 2)
    now, taken = 0, 0
    while now < 20 * SECOND:
        due = (first if taken % 2 else second).reserve(now, 0, cost, 0)
        if due < 0:
            now -= due
        else:
            taken += cost
    assert taken >= 0.99 * first.rate(0) * 20


def test_a_cost_above_the_ceiling_waits_and_is_followed_by_silence(make: HandleMaker) -> None:
    (limiter,) = make([Spec(INPUT_TOKENS, 100, 1000, 1, 0)], 1)
    big = limiter.reserve(1000, 10_000, 50, 0)
    # 50 units take 500 ns, of which 10 are the bucket's own: 490 of idleness, then 500 of silence.
    assert big == 1000
    assert limiter.reserve(1000, 10_000, 1, 0) == 1000 + 500
    (empty,) = make([Spec(INPUT_TOKENS, 100, 1000, 1, 0)], 1)
    assert empty.reserve(0, 10_000, 50, 0) == 500


def test_a_cost_above_the_limit_is_taken_as_the_limit(make: HandleMaker) -> None:
    (limiter,) = make([Spec(INPUT_TOKENS, 100, 1000, 50, 0)], 1)
    (other,) = make([Spec(INPUT_TOKENS, 100, 1000, 50, 0)], 1)
    assert limiter.reserve(0, 10**6, 10**9, 0) == other.reserve(0, 10**6, 100, 0)
    assert limiter.level(0, 0) == other.level(0, 0)


def test_each_resource_is_charged_for_what_it_counts(make: HandleMaker) -> None:
    kinds = (REQUESTS, TOTAL_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS)
    (limiter,) = make([Spec(kind, 1000, 1000, 500, 0) for kind in kinds], 1)
    late = 10**6
    assert limiter.reserve(late, 0, 30, 4) == late
    assert [limiter.level(i, late) for i in range(4)] == pytest.approx([499, 466, 470, 496], abs=1)


def test_an_endpoint_without_limits_only_knows_pauses(make: HandleMaker) -> None:
    (limiter,) = make([], 1)
    assert limiter.reserve(50, 0, 9, 9) == 50
    assert limiter.blocking == -1
    assert limiter.pause(80)
    assert limiter.reserve(60, 10, 0, 0) == -20
    assert limiter.blocking == PAUSED
    assert limiter.reserve(60, 20, 0, 0) == 80
    assert limiter.valid(80, limiter.generation, 10**9)
    assert not limiter.valid(50, 0, 60)


def test_what_blocks_is_named(make: HandleMaker) -> None:
    (limiter,) = make([Spec(REQUESTS, 10, 1000, 1, 0), Spec(INPUT_TOKENS, 10, 5000, 10, 0)], 1)
    far = 10**6
    assert limiter.reserve(far, 0, 1, 0) == far
    assert limiter.blocking == -1
    assert limiter.reserve(far, 0, 1, 0) < 0
    assert limiter.blocking == 0
    assert limiter.reserve(far + 200, 0, 10, 0) < 0
    assert limiter.blocking == 1
    limiter.pause(far + 10**5)
    assert limiter.reserve(far + 300, 0, 1, 0) < 0
    assert limiter.blocking == PAUSED


def test_a_pause_holds_every_ticket_back_and_voids_the_older(make: HandleMaker) -> None:
    first, second = make([Spec(REQUESTS, 10, 1000, 5, 10)], 2)
    due = first.reserve(5000, 100, 0, 0)
    assert first.valid(due, first.generation, due)
    assert second.pause(9000)
    assert not first.valid(due, first.generation, due)
    assert first.paused_until() == 9000
    assert first.reserve(5000, 100, 0, 0) < 0
    assert first.reserve(5000, 10_000, 0, 0) > 9000


def test_a_pause_within_a_pause_changes_nothing(make: HandleMaker) -> None:
    first, second = make([Spec(REQUESTS, 10, 1000, 5, 10)], 2)
    assert first.pause(9000)
    due = first.reserve(8990, 10_000, 0, 0)
    level = first.level(0, 8990)
    assert not second.pause(9000)
    assert not second.pause(8000)
    assert first.valid(due, first.generation, due)
    assert first.level(0, 8990) == level


def test_a_ticket_is_void_when_it_is_used_too_late(make: HandleMaker) -> None:
    buckets = [Spec(REQUESTS, 10, 1000, 5, 30), Spec(INPUT_TOKENS, 10, 1000, 5, 20)]
    (limiter,) = make(buckets, 1)
    due = limiter.reserve(5000, 0, 1, 0)
    assert limiter.valid(due, limiter.generation, due + 20)
    assert not limiter.valid(due, limiter.generation, due + 21)


def test_a_refund_of_the_newest_ticket_is_whole(make: HandleMaker) -> None:
    (limiter,) = make([Spec(TOTAL_TOKENS, 1000, MINUTE, 300, 0)], 1)
    now = 10 * MINUTE
    limiter.reserve(now, 0, 100, 150)
    assert limiter.level(0, now) == pytest.approx(50)
    limiter.settle(now, now + SECOND, 100, 150, 100, 10)
    assert limiter.level(0, now) == pytest.approx(190)


def test_a_refund_shrinks_by_what_the_dues_moved_on(make: HandleMaker) -> None:
    (limiter,) = make([Spec(TOTAL_TOKENS, 601, MINUTE, 2, 0)], 1)  # 10 units a second
    (other,) = make([Spec(TOTAL_TOKENS, 601, MINUTE, 2, 0)], 1)
    start = MINUTE
    for each in (limiter, other):
        assert each.reserve(start, 0, 2, 0) == start
        assert each.reserve(start, 60 * SECOND, 2, 0) > start
    limiter.settle(start, start + 10 * SECOND, 2, 0, 0, 0)
    assert limiter.level(0, start) == other.level(0, start)


def test_a_debit_is_paid_back_by_silence_of_at_most_a_window(make: HandleMaker) -> None:
    (limiter,) = make([Spec(TOTAL_TOKENS, 100, MINUTE, 10, 0)], 1)
    now = MINUTE
    limiter.reserve(now, 0, 1, 0)
    limiter.settle(now, now, 1, 0, 51, 0)
    assert limiter.level(0, now) == pytest.approx(10 - 51, abs=0.01)
    for _ in range(10):
        limiter.settle(now, now, 1, 0, 10**9, 0)
    assert limiter.reserve(now + MINUTE, 0, 1, 0) < 0
    assert limiter.reserve(now + MINUTE + SECOND, 0, 1, 0) > 0


@pytest.mark.parametrize("used", [3, 20, 90])
def test_what_was_underestimated_is_paid_in_the_long_run(make: HandleMaker, used: int) -> None:
    (limiter,) = make([Spec(TOTAL_TOKENS, 1000, SECOND, 100, 0)], 1)
    now = total = 0
    while now < 30 * SECOND:
        due = limiter.reserve(now, 0, 1, 0)
        if due < 0:
            now -= due
        else:
            total += used
            limiter.settle(due, now, 1, 0, used, 0)
    assert total <= limiter.rate(0) * 30 + 100 + used
    assert total >= 0.98 * limiter.rate(0) * 30


def test_a_request_bucket_is_never_settled(make: HandleMaker) -> None:
    (limiter,) = make([Spec(REQUESTS, 100, 1000, 10, 0)], 1)
    limiter.reserve(10**6, 0, 5, 5)
    level = limiter.level(0, 10**6)
    limiter.settle(10**6, 10**6, 5, 5, 0, 0)
    limiter.settle(10**6, 10**6, 5, 5, 99, 99)
    assert limiter.level(0, 10**6) == level


@pytest.mark.parametrize("use", [-40, 0, 4, 10])
def test_a_tune_to_the_same_limit_keeps_the_level(make: HandleMaker, use: int) -> None:
    (limiter,) = make([Spec(TOTAL_TOKENS, 100, MINUTE, 10, 0)], 1)
    now = MINUTE
    limiter.reserve(now, 0, max(use, 1), 0)
    limiter.settle(now, now, max(use, 1), 0, abs(use), 0)
    level = limiter.level(0, now)
    for _ in range(50):
        limiter.tune(0, 100, MINUTE, 10, 0, now)
    assert level - 1e-6 <= limiter.level(0, now) <= level


def test_a_tune_gains_no_burst(make: HandleMaker) -> None:
    (limiter,) = make([Spec(TOTAL_TOKENS, 100, MINUTE, 50, 0)], 1)
    now = 60 * MINUTE
    assert limiter.level(0, now) == pytest.approx(50)
    limiter.tune(0, 200, MINUTE, 80, 0, now)
    assert limiter.level(0, now) == pytest.approx(50)
    assert limiter.rate(0) == pytest.approx(121 / 60)
    limiter.tune(0, 100, MINUTE, 20, 0, now)
    assert limiter.level(0, now) == pytest.approx(20)


def test_a_faster_limit_does_not_wait_out_the_slow_one(make: HandleMaker) -> None:
    (limiter,) = make([Spec(REQUESTS, 1, 86_400 * SECOND, 1, 0)], 1)
    assert limiter.reserve(0, 10**18, 0, 0) == 86_400 * SECOND
    limiter.tune(0, 1000, SECOND, 1, 0, 0)
    assert limiter.reserve(0, 10**18, 0, 0) <= SECOND // 100


def test_a_tune_within_a_pause_leaves_the_pause_whole(make: HandleMaker) -> None:
    (limiter,) = make([Spec(REQUESTS, 10, 1000, 5, 0)], 1)
    limiter.pause(50_000)
    limiter.tune(0, 1000, 1000, 100, 0, 10_000)
    assert limiter.reserve(10_000, 10**6, 0, 0) > 50_000


def test_a_refund_for_a_charge_under_the_old_limit_is_forgone(make: HandleMaker) -> None:
    (limiter,) = make([Spec(TOTAL_TOKENS, 1000, MINUTE, 100, 0)], 1)
    due = limiter.reserve(MINUTE, 0, 100, 0)
    limiter.tune(0, 100, MINUTE, 10, 0, MINUTE + 1)
    level = limiter.level(0, MINUTE + 1)
    limiter.settle(due, MINUTE + 1, 100, 0, 0, 0)
    assert limiter.level(0, MINUTE + 1) == level


def test_a_lifted_bucket_bounds_nothing_and_blocks_nothing(make: HandleMaker) -> None:
    (limiter,) = make([Spec(REQUESTS, 1, MINUTE, 1, 0), Spec(TOTAL_TOKENS, 5, MINUTE, 5, 0)], 1)
    limiter.lift(0)
    limiter.lift(1)
    for _ in range(100):
        assert limiter.reserve(0, 0, 1000, 1000) == 0
        limiter.settle(0, 0, 1000, 1000, 5000, 5000)
    assert limiter.blocking == -1
    assert limiter.valid(0, limiter.generation, 10 * MINUTE)  # however late: no bucket counts it


def test_a_ticket_from_before_a_limit_was_lifted_is_taken_anew(make: HandleMaker) -> None:
    (limiter,) = make([Spec(REQUESTS, 600, MINUTE, 6, 0)], 1)
    due, generation = limiter.reserve(MINUTE, 0, 0, 0), limiter.generation
    assert limiter.valid(due, generation, MINUTE)
    limiter.lift(0)
    assert not limiter.valid(due, generation, MINUTE)


def test_a_lifted_bucket_begins_empty_once_it_is_tuned(make: HandleMaker) -> None:
    (limiter,) = make([Spec(REQUESTS, 1000, MINUTE, 100, 0)], 1)
    limiter.lift(0)
    due, generation = limiter.reserve(50 * MINUTE, 0, 0, 0), limiter.generation
    limiter.tune(0, 600, MINUTE, 60, 0, 50 * MINUTE)
    assert not limiter.valid(due, generation, 50 * MINUTE)
    assert limiter.level(0, 50 * MINUTE) == pytest.approx(0)
    assert limiter.reserve(50 * MINUTE, 0, 0, 0) < 0


def test_what_was_sent_before_is_debited_down_to_a_window(make: HandleMaker) -> None:
    (limiter,) = make([Spec(REQUESTS, 600, MINUTE, 1, 0)], 1)
    limiter.debit(0, 100, MINUTE)
    assert limiter.level(0, MINUTE) == pytest.approx(1 - 100, abs=0.1)
    limiter.debit(0, 10**9, MINUTE)
    limiter.debit(0, 10**9, MINUTE)
    assert limiter.level(0, MINUTE) == pytest.approx(-600, abs=0.1)
    limiter.debit(0, 0, MINUTE)
    assert limiter.level(0, MINUTE) == pytest.approx(-600, abs=0.1)


def test_failures_are_counted_until_a_success(make: HandleMaker) -> None:
    first, second = make([], 2)
    assert [first.record_failure(), second.record_failure()] == [1, 2]
    assert first.failures_in_a_row() == 2
    first.record_success()
    assert second.failures_in_a_row() == 0


def test_an_endpoint_that_throttles_is_not_failing(make: HandleMaker) -> None:
    first, second = make([], 2)
    first.record_failure()
    assert [first.record_throttle(), second.record_throttle()] == [1, 2]
    assert second.failures_in_a_row() == 0


def test_throttles_are_counted_until_a_success(make: HandleMaker) -> None:
    first, second = make([], 2)
    assert [first.record_throttle(), second.record_throttle()] == [1, 2]
    first.record_success()
    assert second.record_throttle() == 1


def test_one_caller_alone_may_probe_in_an_interval(make: HandleMaker) -> None:
    first, second = make([], 2)
    assert first.claim_probe(100, 50)
    assert not first.claim_probe(149, 50)
    assert not second.claim_probe(149, 50)
    assert second.claim_probe(150, 50)


class TestBounds:
    def test_memory_that_is_too_small_is_refused(self) -> None:
        need = Limiter.bytes_needed(2)
        Limiter(bytearray(need), 0, 2)
        for size, offset in ((need - 1, 0), (need, LINE_BYTES), (need, -LINE_BYTES), (0, 1 << 62)):
            with pytest.raises(ValueError, match=r"fit in a buffer|not a multiple"):
                Limiter(bytearray(size), offset, 2)

    def test_an_offset_off_a_line_is_refused(self) -> None:
        with pytest.raises(ValueError, match="not a multiple of 64"):
            Limiter(bytearray(10_000), 8, 1)

    def test_misaligned_memory_is_refused(self) -> None:
        with pytest.raises(ValueError, match="aligned"):
            Limiter(memoryview(bytearray(10_000))[1:], 0, 1)

    def test_memory_that_can_not_be_written_is_refused(self) -> None:
        with pytest.raises(BufferError):
            Limiter(bytes(10_000), 0, 1)

    def test_memory_stays_as_long_as_a_handle_does(self) -> None:
        memory = bytearray(Limiter.bytes_needed(1))
        limiter = Limiter(memory, 0, 1)
        with pytest.raises(BufferError):
            memory.clear()
        del limiter
        memory.clear()

    @pytest.mark.parametrize("buckets", [-1, 65, 2**31 - 1])
    def test_an_absurd_number_of_buckets_is_refused(self, buckets: int) -> None:
        with pytest.raises(ValueError, match="buckets"):
            Limiter.bytes_needed(buckets)

    def test_a_bucket_that_is_not_there_is_refused(self) -> None:
        limiter = Limiter(bytearray(10_000), 0, 1)
        for index in (-1, 1):
            with pytest.raises(IndexError):
                limiter.rate(index)
            with pytest.raises(IndexError):
                limiter.configure(index, REQUESTS, 1, 1, 1, 0, 0)

    def test_a_bucket_that_was_never_configured_gives_no_tickets(self) -> None:
        limiter = Limiter(bytearray(10_000), 0, 1)
        for use in (
            lambda: limiter.reserve(0, 0, 0, 0),
            lambda: limiter.level(0, 0),
            lambda: limiter.tune(0, 1, 1, 1, 0, 0),
        ):
            with pytest.raises(RuntimeError, match="not configured"):
                use()

    @pytest.mark.parametrize(
        "terms",
        [
            (REQUESTS, 0, 1, 1, 0),
            (REQUESTS, 5, 1, 0, 0),
            (REQUESTS, 5, 1, 6, 0),
            (REQUESTS, 5, 0, 1, 0),
            (REQUESTS, 5, 1, 1, -1),
            (REQUESTS, 5, 2**62, 1, 0),
            (REQUESTS, 2**62, SECOND, 2**62, 0),
            (4, 5, 1, 1, 0),
            (-1, 5, 1, 1, 0),
        ],
    )
    def test_terms_that_make_no_sense_are_refused(
        self, terms: tuple[int, int, int, int, int]
    ) -> None:
        limiter = Limiter(bytearray(10_000), 0, 1)
        with pytest.raises(ValueError):
            limiter.configure(0, *terms, 0)

    def test_times_and_costs_out_of_range_are_refused(self) -> None:
        (limiter,) = core_handles([Spec(TOTAL_TOKENS, 10, 1000, 1, 0)], 1)
        for arguments in ((-1, 0, 0, 0), (2**62, 0, 0, 0), (0, -1, 0, 0), (0, 0, -1, 0)):
            with pytest.raises(ValueError):
                limiter.reserve(*arguments)
        with pytest.raises(ValueError):
            limiter.pause(-1)
        with pytest.raises(ValueError):
            limiter.settle(0, 0, 0, 0, 0, -5)
        with pytest.raises(OverflowError):
            limiter.reserve(2**64, 0, 0, 0)

    def test_refunds_of_what_was_never_charged_do_not_overflow(self) -> None:
        (limiter,) = core_handles([Spec(TOTAL_TOKENS, 2**20, 2**57, 1, 0)], 1)
        for _ in range(100):
            limiter.settle(2**60, 2**60, 2**60, 0, 0, 0)
        assert limiter.level(0, 0) == pytest.approx(1)

    def test_the_largest_numbers_allowed_do_not_overflow(self) -> None:
        (limiter,) = core_handles([Spec(TOTAL_TOKENS, 2**40, 2**50, 2**39, 2**40)], 1, 2**60)
        for _ in range(3):
            assert limiter.reserve(2**60, 2**60, 2**60, 2**60) > 2**60
        limiter.settle(2**60, 2**60, 0, 0, 2**60, 2**60)
        limiter.pause(2**60)
        limiter.tune(0, 1, 2**57, 1, 0, 2**60)
        assert limiter.reserve(2**60, 2**60, 1, 0) >= 2**60


def test_a_bucket_starts_empty(make: HandleMaker) -> None:
    (limiter,) = make([Spec(REQUESTS, 10, 1000, 5, 0)], 1)
    assert limiter.level(0, 0) == pytest.approx(0)
    assert limiter.reserve(0, 0, 0, 0) < 0
