from __future__ import annotations

import pytest

from penstock._core import Slab
from penstock.observe.observer import Observer
from penstock.observe.slab_layout import C, H, open_slab, request_cell, retry_cell, slab_bytes
from penstock.observe.state import Endpoint, Limit, RunState

SECOND = 1_000_000_000
RPM = Limit("requests", 600, 60)
TPM = Limit("tokens", 60_000, 60)
SLOTS = Limit("concurrency", 10)


def an_observer(**changes: object) -> tuple[Observer, Slab]:
    """An observed run that began at 1 s and was ready at 2 s, with one worker."""
    state = RunState(
        run_id="5eed",
        started_ns=SECOND,
        started_at=1_800_000_000.0,
        phase="running",
        running_since_ns=2 * SECOND,
        total=1000,
        limits=(RPM, TPM, SLOTS),
        endpoints={"e": Endpoint()},
        workers=1,
    )
    for name, value in changes.items():
        setattr(state, name, value)
    observer = Observer(state)
    slab = open_slab(bytearray(slab_bytes(10)), 0, 10)
    observer.tally.attach(0, slab)
    return observer, slab


def work(slab: Slab, records: int) -> None:
    """Let the worker end so many records in a second, waiting for the requests limit."""
    slab.add(C.RECORDS_SUCCEEDED, records)
    slab.add(C.REQUESTS_SENT, records)
    slab.add(request_cell(200, "success"), records)
    slab.add(C.UNCACHED_INPUT_TOKENS, 30 * records)
    slab.add(C.VISIBLE_OUTPUT_TOKENS, 10 * records)
    slab.add(C.SLOT_BUSY_NS, 2 * SECOND)
    slab.add(C.SLOT_REQUESTS_NS, 8 * SECOND)


def test_a_snapshot_before_the_first_answer_has_no_rates_and_no_latency() -> None:
    observer, _ = an_observer()
    snapshot = observer.snapshot(2 * SECOND)
    assert (snapshot.rate_now, snapshot.rate_mean, snapshot.eta_seconds) == (0.0, 0.0, None)
    assert (snapshot.p50_seconds, snapshot.p99_seconds) == (None, None)
    assert snapshot.elapsed_seconds == 1.0


def test_a_run_that_is_getting_ready_starts_and_is_not_limited_by_the_cpu() -> None:
    observer, slab = an_observer()
    observer.sample(2 * SECOND)
    slab.add(C.SLOT_CPU_NS, 10 * SECOND)
    assert observer.snapshot(3 * SECOND).limiting == "starting"
    slab.add(request_cell(200, "success"), 1)
    assert "limited by CPU" in observer.snapshot(3 * SECOND).limiting


def test_rates_eta_and_limits_follow_what_the_workers_count() -> None:
    observer, slab = an_observer()
    for second in range(2, 32):
        observer.sample(second * SECOND)
        work(slab, 9)
    observer.state.commit(260, {})
    observer.state.commit(0, {"invalid_request": 10})
    snapshot = observer.snapshot(32 * SECOND)
    assert snapshot.rate_now == pytest.approx(9.0)
    assert snapshot.rate_mean == pytest.approx(9.0)
    assert snapshot.eta_seconds == pytest.approx((1000 - 270) / 9)
    assert snapshot.done == 270
    assert snapshot.failed_by_class == {"invalid_request": 10}
    assert snapshot.requests == 270
    assert snapshot.limits["requests_per_minute"].share == pytest.approx(0.9)
    assert snapshot.limits["tokens_per_minute"].share == pytest.approx(9 * 40 / 1000)
    assert snapshot.limits["concurrency"].share == pytest.approx(0.2)
    assert snapshot.bottleneck["requests"] == pytest.approx(0.8)
    assert snapshot.limiting == "limited to 600 requests/min"


def test_now_means_the_last_seconds_and_the_mean_all_of_them() -> None:
    observer, slab = an_observer()
    for second in range(2, 42):
        observer.sample(second * SECOND)
        work(slab, 20 if second < 22 else 5)
    snapshot = observer.snapshot(42 * SECOND)
    assert snapshot.rate_now == pytest.approx(5.0)
    assert snapshot.rate_mean == pytest.approx(12.5)


def test_a_pause_of_some_seconds_does_not_take_the_eta_away() -> None:
    observer, slab = an_observer()
    for second in range(2, 42):
        observer.sample(second * SECOND)
        if second < 22:
            work(slab, 10)
    snapshot = observer.snapshot(42 * SECOND)
    assert snapshot.rate_now == 0.0
    assert snapshot.eta_seconds == pytest.approx(1000 / 5.0)


def test_the_eta_is_unknown_without_a_total_and_zero_when_all_is_done() -> None:
    observer, slab = an_observer(total=None)
    observer.sample(2 * SECOND)
    work(slab, 10)
    assert observer.snapshot(3 * SECOND).eta_seconds is None
    observer.state.total = 10
    observer.state.commit(10, {})
    assert observer.snapshot(3 * SECOND).eta_seconds == 0.0


def test_rates_no_longer_change_once_the_last_row_has_ended() -> None:
    observer, slab = an_observer()
    work(slab, 10)
    observer.state.running_until_ns = 4 * SECOND
    assert observer.snapshot(4 * SECOND).rate_mean == 5.0
    assert observer.snapshot(400 * SECOND).rate_mean == 5.0


def test_a_dead_workers_requests_stay_and_what_it_had_in_flight_goes() -> None:
    observer, slab = an_observer()
    work(slab, 10)
    slab.add(retry_cell("timeout"), 2)
    slab.set(C.IN_FLIGHT, 7)
    assert observer.snapshot(3 * SECOND).in_flight == 7
    observer.tally.retire(0)
    snapshot = observer.snapshot(3 * SECOND)
    assert (snapshot.in_flight, snapshot.requests, snapshot.retries) == (0, 10, 2)


def test_rows_of_earlier_epochs_count_as_done_and_not_as_speed() -> None:
    observer, slab = an_observer(
        succeeded=400, failed_by_class={"timeout": 5}, resumed_succeeded=400, resumed_failed=5
    )
    work(slab, 10)
    snapshot = observer.snapshot(3 * SECOND)
    assert (snapshot.done, snapshot.resumed, snapshot.resumed_failed) == (405, 405, 5)
    assert snapshot.rate_mean == pytest.approx(10.0)


def test_latency_is_in_seconds() -> None:
    observer, slab = an_observer()
    for milliseconds in range(1, 1001):
        slab.record(H.REQUEST_US, milliseconds * 1000)
    snapshot = observer.snapshot(3 * SECOND)
    assert snapshot.p50_seconds == pytest.approx(0.5, rel=0.01)
    assert snapshot.p99_seconds == pytest.approx(0.99, rel=0.01)


def test_the_whole_epochs_shares_and_limits_are_for_the_report() -> None:
    observer, slab = an_observer()
    for _ in range(10):
        work(slab, 10)
    observer.state.running_until_ns = 12 * SECOND
    shares, words = observer.shares()
    assert shares["requests"] == pytest.approx(0.8)
    assert words == "limited to 600 requests/min"
    assert observer.limit_use()["requests_per_minute"].share == pytest.approx(1.0)


def test_a_limit_that_was_lowered_is_used_by_what_it_was_in_the_mean() -> None:
    observer, slab = an_observer(limits=(Limit("requests", 1200, 60, "found"),))
    observer.sample(2 * SECOND)
    work(slab, 200)
    observer.sample(12 * SECOND)
    observer.state.limits = (Limit("requests", 120, 60, "found"),)
    work(slab, 40)
    observer.sample(32 * SECOND)
    observer.state.running_until_ns = 32 * SECOND
    use = observer.limit_use()["requests_per_minute"]
    assert (use.limit, use.share) == (120, pytest.approx(1.0))


def test_a_run_that_never_got_ready_used_no_limit() -> None:
    observer, _ = an_observer(running_since_ns=None)
    assert observer.limit_use() == {}
    assert observer.shares()[1] == ""


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (RPM, "requests_per_minute"),
        (Limit("input_tokens", 5, 1), "input_tokens_per_second"),
        (Limit("requests", 5, 86400), "requests_per_day"),
        (Limit("requests", 5, 10), "requests_per_10_seconds"),
        (SLOTS, "concurrency"),
    ],
)
def test_a_limit_has_the_name_of_what_it_counts_and_its_window(limit: Limit, expected: str) -> None:
    assert limit.resource == expected
