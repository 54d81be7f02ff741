"""From a job's limits to buckets, slots and workers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import _core
from penstock.engine import limits
from penstock.job import DEFAULT_CONCURRENCY, Job

counts = st.none() | st.integers(1, 10**7)


def test_every_limit_that_is_given_becomes_a_bucket_of_its_resource_and_window() -> None:
    job = Job(rps=5, rpm=60, rpd=1000, tpm=9000, tpd=10**6, input_tpm=8000, output_tpm=700)
    found = [(b.name, b.resource, b.limit, b.window_ns) for b in limits.buckets_of(job, 1)]
    assert found == [
        ("rps", _core.REQUESTS, 5, limits.SECOND_NS),
        ("rpm", _core.REQUESTS, 60, limits.MINUTE_NS),
        ("rpd", _core.REQUESTS, 1000, limits.DAY_NS),
        ("tpm", _core.TOTAL_TOKENS, 9000, limits.MINUTE_NS),
        ("tpd", _core.TOTAL_TOKENS, 10**6, limits.DAY_NS),
        ("input_tpm", _core.INPUT_TOKENS, 8000, limits.MINUTE_NS),
        ("output_tpm", _core.OUTPUT_TOKENS, 700, limits.MINUTE_NS),
    ]
    assert [one.name for one in limits.buckets_of(Job(), 1)] == list(limits.NAMES)
    assert {one.limit for one in limits.buckets_of(Job(), 1)} == {None}


@given(counts, counts, counts, counts, st.integers(1, 10**6))
def test_the_core_takes_every_bucket_that_a_job_can_ask_for(
    rps: int | None, rpd: int | None, tpm: int | None, output_tpm: int | None, largest: int
) -> None:
    job = Job(rps=rps, rpd=rpd, tpm=tpm, output_tpm=output_tpm)
    buckets = [one for one in limits.buckets_of(job, largest) if one.limit is not None]
    limiter = _core.Limiter(
        bytearray(64 + _core.Limiter.bytes_needed(len(buckets))), 64, len(buckets)
    )
    for index, one in enumerate(buckets):
        limiter.configure(
            index, one.resource, one.limit, one.window_ns, one.ceiling, one.late_ns, 0
        )
        assert limiter.rate(index) <= one.per_second * 1.000001


rates = st.builds(
    limits.Rate,
    st.integers(1, 10**6),
    st.sampled_from([limits.SECOND_NS, limits.MINUTE_NS, limits.DAY_NS]),
)


@given(st.sampled_from(limits.KINDS), counts, st.none() | rates, st.integers(1, 10**4))
def test_what_is_found_never_lifts_what_is_given(
    kind: tuple[str, int, int], limit: int | None, found: limits.Rate | None, largest: int
) -> None:
    name, resource, window_ns = kind
    given_one = limits.bucket(name, resource, limit, window_ns, largest)
    held = limits.within(given_one, found, largest)
    assert held.per_second <= given_one.per_second
    if found is None:
        assert held == given_one
        return
    assert held.limit is not None
    assert held.per_second <= found.limit * limits.SECOND_NS / found.window_ns * (1 + 1e-9)
    if limit is not None and held.window_ns != window_ns:
        # Less than one in the window that was given: no burst of another window may exceed it.
        assert held.limit * window_ns < held.window_ns


@pytest.mark.parametrize("name", ["rps", "rpm", "rpd"])
def test_a_run_that_is_resumed_again_and_again_keeps_the_limit_of_any_window(name: str) -> None:
    """Buckets start empty: a resumed run does not spend the day's quota a second time."""
    one = next(b for b in limits.buckets_of(Job(**{name: 100}), 1) if b.name == name)
    assert one.limit is not None
    sent: list[int] = []
    memory = bytearray(_core.Limiter.bytes_needed(1))
    limiter, now_ns = _core.Limiter(memory, 0, 1), 0
    terms = (one.limit, one.window_ns, one.ceiling, one.late_ns)
    for start in range(20):
        limiter.configure(0, one.resource, *terms, now_ns)
        for _ in range(30 + start):
            due_ns = limiter.reserve(now_ns, 0, 0, 0)
            if due_ns < 0:
                now_ns += -due_ns
                continue
            sent.append(due_ns)
    for index, first in enumerate(sent):
        inside = sum(1 for then in sent[index:] if then < first + one.window_ns)
        assert inside <= 100


@pytest.mark.parametrize(
    ("limit", "window_ns", "burst"),
    [
        (1, limits.SECOND_NS, 1),
        (500, limits.SECOND_NS, 5),  # 1 % of the limit
        (10, limits.MINUTE_NS, 1),
        (6_000, limits.MINUTE_NS, 5),  # 0.05 s of the rate
        (8_640_000, limits.DAY_NS, 5),
    ],
)
def test_a_bucket_of_requests_lets_little_through_at_once(
    limit: int, window_ns: int, burst: int
) -> None:
    assert limits.ceiling(_core.REQUESTS, limit, window_ns, 10**6) == burst


def test_a_bucket_of_tokens_holds_a_usual_record_but_no_more_than_a_quarter_of_the_limit() -> None:
    minute = limits.MINUTE_NS
    assert limits.ceiling(_core.TOTAL_TOKENS, 100_000, minute, 4_000) == 5_000
    assert limits.ceiling(_core.TOTAL_TOKENS, 100_000, minute, 90_000) == 25_000
    assert limits.ceiling(_core.TOTAL_TOKENS, 2, minute, 90_000) == 1


def test_a_ticket_may_be_late_by_a_hundredth_of_the_window_at_most() -> None:
    assert limits.late(limits.SECOND_NS) == 10_000_000
    assert limits.late(limits.DAY_NS) == limits.MOST_LATE_NS


@pytest.mark.parametrize(
    ("job", "slots"),
    [
        (Job(), DEFAULT_CONCURRENCY),
        (Job(max_concurrency=3), 3),
        (Job(max_concurrency=3, rps=500), 3),
        (Job(tpm=10**6), DEFAULT_CONCURRENCY),
        (Job(rpm=60), DEFAULT_CONCURRENCY),
        (Job(rps=20), 400),
        (Job(rps=20, rpm=60), DEFAULT_CONCURRENCY),  # the smallest rate counts
        (Job(rps=5000), limits.MOST_SLOTS),
    ],
)
def test_slots_are_as_told_or_what_the_rate_needs(job: Job, slots: int) -> None:
    assert limits.concurrency(job) == slots


@pytest.mark.parametrize(
    ("job", "cores", "workers"),
    [
        (Job(workers=3), 1, 3),
        (Job(workers=8, max_concurrency=2), 16, 2),
        (Job(), 16, 4),
        (Job(), 2, 2),
        (Job(max_concurrency=1), 16, 1),
        (Job(rpm=60), 16, 1),
        (Job(rps=1200), 16, 3),
        (Job(rps=5000, max_concurrency=1), 16, 1),
    ],
)
def test_workers_are_as_told_or_what_cores_rate_and_slots_ask_for(
    job: Job, cores: int, workers: int
) -> None:
    assert limits.worker_count(job, cores) == workers


@given(counts, counts, st.just("auto") | st.integers(1, 64), st.integers(1, 64))
def test_every_worker_has_a_slot_and_all_slots_are_shared_out(
    rps: int | None, most: int | None, workers: int | str, cores: int
) -> None:
    job = Job(rps=rps, max_concurrency=most, workers=workers)  # type: ignore[arg-type]
    slots, number = limits.concurrency(job), limits.worker_count(job, cores)
    shares = limits.share(slots, number)
    assert sum(shares) == slots
    assert min(shares) >= 1
    assert max(shares) - min(shares) <= 1


def test_a_shard_is_neither_tiny_nor_larger_than_what_balances_the_tail() -> None:
    assert [limits.shard_rows(slots) for slots in (1, 64, 2048)] == [8, 32, 256]


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000", None), ("150000 100000", 2), ("50000 100000", 1), ("nonsense", None)],
)
def test_a_cgroup_quota_counts_in_whole_cores(tmp_path: Path, text: str, cores: int | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert limits.quota_cores(tmp_path / "cpu.max") == cores


def test_without_a_cgroup_there_is_no_quota(tmp_path: Path) -> None:
    assert limits.quota_cores(tmp_path / "cpu.max") is None
    assert limits.cores_here() >= 1
