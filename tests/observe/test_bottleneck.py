from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.observe.bottleneck import REASONS, bottleneck, main_reason, slot_time
from penstock.observe.slab_layout import C

SECOND = 1_000_000_000


def spent(**changes: Any) -> dict[C, int]:
    state = {
        "slots": 10,
        "in_flight": 4,
        "queued": 8,
        "hold": None,
        "loop_busy_ns": 0,
        "drained": False,
    }
    return slot_time(SECOND, **(state | changes))


def shares(**changes: Any) -> dict[str, float]:
    return bottleneck(spent(**changes))


def test_requests_limit_when_a_requests_bucket_holds_the_head_record() -> None:
    assert shares(hold="requests")["requests"] == 0.6


def test_tokens_limit_when_a_token_bucket_holds_the_head_record() -> None:
    assert shares(hold="tokens")["tokens"] == 0.6


def test_concurrency_limits_when_all_slots_are_out_and_records_wait() -> None:
    assert shares(in_flight=10)["concurrency"] == 1.0


def test_throttled_limits_when_the_provider_asked_for_a_pause() -> None:
    assert shares(hold="throttled", in_flight=0)["throttled"] == 1.0


def test_input_limits_when_slots_are_free_and_no_record_is_here() -> None:
    assert shares(queued=0)["input"] == 0.6


def test_cpu_limits_when_the_loop_had_no_idle_time() -> None:
    assert shares(in_flight=10, loop_busy_ns=SECOND * 95 // 100)["cpu"] == 1.0


def test_cpu_limits_when_nothing_else_keeps_a_record_from_a_free_slot() -> None:
    assert shares(hold=None, queued=8)["cpu"] == 0.6


def test_the_budget_limits_when_a_record_waits_for_dollars() -> None:
    assert shares(hold="budget")["budget"] == 0.6


def test_disk_limits_when_the_writer_has_not_taken_the_results() -> None:
    assert shares(hold="disk")["disk"] == 0.6


def test_a_limit_is_named_even_on_a_busy_loop() -> None:
    found = shares(hold="requests", loop_busy_ns=SECOND)
    assert (found["requests"], found["cpu"]) == (0.6, 0.4)


def test_nothing_limits_while_all_are_out_and_nothing_waits() -> None:
    assert main_reason(shares(in_flight=10, queued=0)) is None


def test_free_slots_at_the_end_of_the_input_count_for_no_reason() -> None:
    found = spent(queued=0, drained=True)
    assert found == {C.SLOT_BUSY_NS: 4 * SECOND, C.SLOT_DRAINED_NS: 6 * SECOND}
    assert main_reason(bottleneck(found)) is None


def test_shares_of_no_time_at_all_are_zero() -> None:
    assert bottleneck({}) == dict.fromkeys(REASONS, 0.0)
    assert main_reason({}) is None


@pytest.mark.parametrize("reason", REASONS)
def test_the_main_reason_is_the_one_with_the_largest_share(reason: str) -> None:
    assert main_reason(dict.fromkeys(REASONS, 0.1) | {reason: 0.2}) == reason


def test_a_share_too_small_to_matter_is_no_reason() -> None:
    assert main_reason({"requests": 0.009}) is None


@given(
    elapsed=st.integers(0, 10**12),
    slots=st.integers(0, 5000),
    in_flight=st.integers(0, 6000),
    queued=st.integers(0, 10**6),
    hold=st.sampled_from([None, "requests", "tokens", "throttled", "disk", "budget"]),
    loop_busy=st.integers(0, 10**12),
    drained=st.booleans(),
)
def test_every_slots_time_goes_to_exactly_one_cell(
    elapsed: int, slots: int, in_flight: int, queued: int, hold: Any, loop_busy: int, drained: bool
) -> None:
    found = slot_time(
        elapsed,
        slots=slots,
        in_flight=in_flight,
        queued=queued,
        hold=hold,
        loop_busy_ns=loop_busy,
        drained=drained,
    )
    assert sum(found.values()) == elapsed * slots
    assert all(value >= 0 for value in found.values())
    assert sum(bottleneck(found).values()) <= 1.0 + 1e-9
