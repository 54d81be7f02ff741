from __future__ import annotations

from typing import Any

import pytest

from penstock.observe.limiting import limit_words, limiting
from penstock.observe.snapshot import LimitUse, Phase
from penstock.observe.state import Endpoint

SECOND = 1_000_000_000

LIMITS = {
    "requests_per_second": LimitUse(20, 1.0, 0.4),
    "requests_per_minute": LimitUse(600, 60.0, 0.9),
    "tokens_per_minute": LimitUse(90_000, 60.0, 0.2),
    "input_tokens_per_minute": LimitUse(50_000, 60.0, 0.99),
    "concurrency": LimitUse(64, 0.0, 1.0),
}


def said(reason: str | None = None, **changes: Any) -> str:
    state: dict[str, Any] = {
        "phase": "running",
        "shares": {reason: 0.9} if reason else {},
        "limits": LIMITS,
        "endpoints": {"e": Endpoint()},
        "in_flight": 3,
        "now_ns": 100 * SECOND,
    }
    return limiting(**(state | changes))


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("requests", "limited to 600 requests/min"),
        ("tokens", "limited to 50,000 input tokens/min"),
        ("concurrency", "waiting for the provider (concurrency 64)"),
        ("throttled", "throttled by the provider, or waiting to ask it again"),
        ("input", "waiting for input: reading is slower than the provider"),
        ("cpu", "limited by CPU: the workers are at full load"),
        ("disk", "waiting for the disk: results are not written yet"),
        ("budget", "limited by --budget-usd: what is left is put aside for requests in flight"),
        (None, "waiting for the provider"),
    ],
)
def test_each_reason_has_a_sentence(reason: str | None, expected: str) -> None:
    assert said(reason) == expected


@pytest.mark.parametrize("phase", ["starting", "draining", "exporting"])
def test_a_phase_in_which_nothing_is_asked_speaks_for_itself(phase: Phase) -> None:
    assert said("requests", phase=phase) == said(None, phase=phase) != ""


def test_nothing_is_said_at_the_end() -> None:
    assert said("requests", phase="done") == ""


def test_nothing_is_said_while_nothing_is_under_way() -> None:
    assert said(None, in_flight=0) == ""


def test_an_endpoint_that_is_down_goes_before_all_else() -> None:
    down = Endpoint(up=False, down_since_ns=88 * SECOND, cause="connect refused")
    assert said("requests", endpoints={"f": down}) == (
        "endpoint down for 12 s: connect refused; probing"
    )


def test_a_pause_says_how_long_it_still_takes() -> None:
    paused = Endpoint(paused_until_ns=107 * SECOND)
    assert said("requests", endpoints={"e": paused}) == "throttled by the provider: pausing 7 s"


def test_a_reason_without_its_limit_is_named_plainly() -> None:
    assert said("requests", limits={}) == "limited by the requests that an endpoint takes"
    assert said("concurrency", limits={}) == "waiting for the provider"


def test_a_window_without_a_name_is_given_in_seconds() -> None:
    assert limit_words("requests_per_10_seconds", LimitUse(50, 10.0, 0.0)) == "50 requests/10 s"


def test_of_several_endpoints_those_that_are_left_alone_are_named_beside_the_reason() -> None:
    down = Endpoint(up=False, down_since_ns=88 * SECOND, cause="connect: refused")
    out = Endpoint(out=True, cause="refuses for good, auth (HTTP 401)")
    pauses = Endpoint(paused_until_ns=130 * SECOND)
    assert said("concurrency", endpoints={"a": Endpoint(), "b": down}) == (
        "waiting for the provider (concurrency 64); "
        "b: endpoint down for 12 s: connect: refused; probing"
    )
    assert said("concurrency", endpoints={"b": pauses, "c": out}) == (
        "b: throttled by the provider: pausing 30 s; c: it refuses for good, auth (HTTP 401)"
    )
    assert said("concurrency", endpoints={"a": Endpoint(), "b": Endpoint()}) == (
        "waiting for the provider (concurrency 64)"
    )
