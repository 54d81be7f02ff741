from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.providers.waits import MAX_WAIT_SECONDS, wait_seconds

DATE = "Tue, 14 Jul 2026 08:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "2s"}, 2.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500\x1e"}, 1.5),
        ({"retry-after-ms": "80", "retry-after": "1"}, 0.08),
        ({"retry-after": "Tue, 14 Jul 2026 08:00:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Tuesday, 14-Jul-26 08:00:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Tue, 14 Jul 2026 07:00:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Tue, 14 Jul 2026 08:00:30 -0000", "date": DATE}, None),
        ({"retry-after": "Tue, 14 Jul 2026 08:00:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "999999999"}, MAX_WAIT_SECONDS),
    ],
)
def test_retry_after_is_read_in_all_its_forms(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert wait_seconds(headers) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [("12ms", 0.012), ("1s", 1.0), ("6m0s", 360.0), ("1h2m3.5s", 3723.5), ("1d", 86_400.0)],
)
def test_the_reset_of_a_limit_that_is_used_up_is_a_wait(reset: str, seconds: float) -> None:
    headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": reset}
    assert wait_seconds(headers) == pytest.approx(seconds)


def test_of_two_limits_that_are_used_up_the_later_reset_counts() -> None:
    headers = {
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "2s",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "5s",
    }
    assert wait_seconds(headers) == 5.0


def test_the_reset_of_a_limit_with_something_left_is_no_wait() -> None:
    headers = {"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "6m0s"}
    assert wait_seconds(headers) is None


@pytest.mark.parametrize("unknown", ["0", "-1"])
def test_azure_s_zeros_and_minus_ones_are_no_wait(unknown: str) -> None:
    headers = {
        "x-ratelimit-limit-tokens": unknown,
        "x-ratelimit-remaining-tokens": unknown,
        "x-ratelimit-reset-tokens": "9s",
    }
    assert wait_seconds(headers) is None


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Rate limit reached for m. Please try again in 1.2s. Visit ...", 1.2),
        ("Please try again in 6m0s.", 360.0),
        ("Please try again in 120ms", 0.12),
        ("Please retry after 20 seconds.", 20.0),
        ("Please retry after 1 second.", 1.0),
        ("Please RETRY AFTER 2 minutes", 120.0),
        ("Please retry in 36.5s.", 36.5),
        ("try again in 250 milliseconds", 0.25),
        ("try again in 1 hour", 3600.0),
        ("Please try again later.", None),
        ("try again in 5smiles", None),
        ("wait 5 seconds", None),
    ],
)
def test_a_wait_is_read_from_the_message(message: str, seconds: float | None) -> None:
    assert wait_seconds({}, message) == pytest.approx(seconds)


def test_gemini_s_retry_delay_is_a_wait_and_headers_go_before_it() -> None:
    assert wait_seconds({}, "", "36s") == 36.0
    assert wait_seconds({"retry-after": "3"}, "try again in 1s", "36s") == 3.0


NUMBERS = st.text("0123456789.", max_size=40)
DIGITS = st.text("0123456789", min_size=1, max_size=9)
CLOCKS = st.text("0123456789:", min_size=1, max_size=12)
ZONES = st.text("GMTUCEZ+-0123456789", min_size=1, max_size=9)
UNITS = st.sampled_from(["", "ms", "s", "m", "h", "d", " seconds", " minute", " parsecs", "0s"])
ASKS = st.sampled_from(["try again", "retry", "Please try again"])
PREPOSITIONS = st.sampled_from(["in", "after"])
TEXT = st.one_of(
    st.text(),
    st.builds("{}{}".format, NUMBERS, UNITS),
    st.builds("Mon, {} Jan {} {} {}".format, DIGITS, DIGITS, CLOCKS, ZONES),
    st.datetimes().map(lambda at: at.strftime("%a, %d %b %Y %H:%M:%S GMT")),
    st.builds("{} {} {}{}".format, ASKS, PREPOSITIONS, NUMBERS, UNITS),
)
NAMES = st.sampled_from(
    [
        "retry-after",
        "retry-after-ms",
        "date",
        "x-ratelimit-reset-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-limit-tokens",
    ]
)


@given(st.dictionaries(NAMES, TEXT | st.just("0")), TEXT, TEXT)
def test_whatever_a_server_sends_the_wait_is_none_or_at_most_a_day(
    headers: dict[str, str], message: str, delay: str
) -> None:
    found = wait_seconds(headers, message, delay)
    assert found is None or 0 <= found <= MAX_WAIT_SECONDS


@given(st.integers(0, 86_400_000))
def test_a_wait_in_milliseconds_is_kept_exactly(milliseconds: int) -> None:
    assert wait_seconds({"retry-after-ms": str(milliseconds)}) == milliseconds / 1000


def test_anthropic_s_reset_of_what_is_used_up_is_a_time_after_the_response_s_own() -> None:
    date = {"date": "Tue, 14 Nov 2023 22:14:00 GMT"}
    reset = {
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2023-11-14T22:14:20Z",
        "anthropic-ratelimit-requests-remaining": "7",
        "anthropic-ratelimit-requests-reset": "2023-11-14T23:14:20Z",
    }
    assert wait_seconds({**reset, **date}) == 20.0
    assert wait_seconds(reset) is None
    for odd in ("", "soon", "2023-11-14T22:14:20"):
        assert (
            wait_seconds({**reset, **date, "anthropic-ratelimit-input-tokens-reset": odd}) is None
        )
    assert wait_seconds({**reset, **date, "retry-after": "3"}) == 3.0
