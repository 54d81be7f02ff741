"""The limits that a provider's headers tell, in each dialect, and whatever else may stand there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.providers.rate_headers import MOST, RateLimit, rate_limits, reset_seconds
from penstock.providers.waits import from_duration

DATE = "Tue, 24 Mar 2026 12:00:00 GMT"


def openai(**changes: str) -> dict[str, str]:
    """What OpenAI sends."""
    headers = {
        "x-ratelimit-limit-requests": "5000",
        "x-ratelimit-remaining-requests": "4999",
        "x-ratelimit-reset-requests": "12ms",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-tokens": "1999000",
        "x-ratelimit-reset-tokens": "30ms",
    }
    return headers | {f"x-ratelimit-{name.replace('_', '-')}": it for name, it in changes.items()}


def anthropic() -> dict[str, str]:
    """What Anthropic sends."""
    told = {"requests": (1000, 999), "tokens": (100_000, 98_000)}
    told |= {"input-tokens": (80_000, 79_000), "output-tokens": (20_000, 19_000)}
    headers = {"date": DATE}
    for name, (limit, remaining) in told.items():
        headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        headers[f"anthropic-ratelimit-{name}-remaining"] = str(remaining)
        headers[f"anthropic-ratelimit-{name}-reset"] = "2026-03-24T12:00:01Z"
    return headers


def test_openai_names_requests_and_tokens_per_minute() -> None:
    assert rate_limits(openai()) == (
        RateLimit("requests", 5000, 60, 1),
        RateLimit("tokens", 2_000_000, 60, 1000),
    )


def test_anthropic_names_input_and_output_tokens_too() -> None:
    assert rate_limits(anthropic()) == (
        RateLimit("requests", 1000, 60, 1),
        RateLimit("tokens", 100_000, 60, 2000),
        RateLimit("input_tokens", 80_000, 60, 1000),
        RateLimit("output_tokens", 20_000, 60, 1000),
    )


def test_azure_s_0_and_minus_1_say_nothing() -> None:
    headers = openai(limit_requests="-1", remaining_requests="-1", limit_tokens="0")
    assert rate_limits(headers) == ()
    headers = openai(remaining_requests="-1")
    assert rate_limits(headers)[0] == RateLimit("requests", 5000, 60, 0)


def test_together_s_limits_are_the_second_s() -> None:
    headers = {"x-ratelimit-limit": "10", "x-ratelimit-limit-tokens": "3000"}
    assert rate_limits(headers) == (RateLimit("requests", 10, 1), RateLimit("tokens", 3000, 1))


def test_a_plain_limit_of_another_window_is_not_taken_for_a_second_s() -> None:
    headers = {"x-ratelimit-limit": "20", "x-ratelimit-reset": "1774353600000"}
    assert rate_limits(headers) == ()
    assert rate_limits({"x-ratelimit-limit": "20", "x-ratelimit-reset": "soon"}) == ()


def test_a_reset_beyond_a_minute_tells_a_limit_of_the_day() -> None:
    """Groq: 14,400 requests a day, of which 30 are used up, are whole again in three minutes."""
    headers = openai(limit_requests="14400", remaining_requests="14370", reset_requests="2m59.56s")
    assert rate_limits(headers)[0] == RateLimit("requests", 14_400, 86_400, 30)


def test_tokens_are_the_minute_s_though_their_reset_is_six() -> None:
    """What OpenAI's reference shows, and servers that copy it send: 150,000 a day would crawl."""
    shown = openai(limit_tokens="150000", remaining_tokens="149984", reset_tokens="6m0s")
    assert rate_limits(shown)[1] == RateLimit("tokens", 150_000, 60, 16)
    assert rate_limits(shown | {"x-ratelimit-reset-tokens": "7h"})[1].window_seconds == 86_400


def test_a_full_minute_s_reset_is_the_minute_s_though_clocks_differ_a_little() -> None:
    headers = anthropic() | {"anthropic-ratelimit-requests-reset": "2026-03-24T12:01:02+00:00"}
    assert rate_limits(headers)[0].window_seconds == 60


@pytest.mark.parametrize("headers", [{}, {"x-request-id": "1"}, {"retry-after": "3"}])
def test_who_names_no_limit_has_none(headers: dict[str, str]) -> None:
    assert rate_limits(headers) == ()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12ms", 0.012),
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("1h0m0s", 3600.0),
        ("59", 59.0),
        ("0.5", 0.5),
        ("2026-03-24T12:00:30Z", 30.0),
        ("2026-03-24t13:00:30.500+01:00", 30.5),
        ("2026-03-24T11:00:00Z", 0.0),
        ("2026-99-24T11:00:00Z", 0.0),
        ("1774353600", 0.0),
        ("soon", 0.0),
        ("", 0.0),
    ],
)
def test_a_reset_is_a_duration_seconds_or_a_date(text: str, seconds: float) -> None:
    assert reset_seconds(text, DATE) == pytest.approx(seconds)


def test_a_date_without_the_response_s_own_says_nothing() -> None:
    assert reset_seconds("2026-03-24T12:00:30Z", "") == 0.0
    assert reset_seconds("2026-03-24T12:00:30Z", "yesterday") == 0.0


NAMES = sorted({*openai(), *anthropic(), "x-ratelimit-limit", "x-ratelimit-reset"})
VALUES = st.one_of(
    st.text(max_size=30),
    st.integers().map(str),
    st.floats().map(str),
    st.from_regex(r"[0-9]{1,20}(\.[0-9]{1,20})?", fullmatch=True),
    st.from_regex(r"([0-9]{1,15}(ms|s|m|h|d)){1,7}", fullmatch=True),
    st.datetimes().map(lambda one: one.isoformat() + "Z"),
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_whatever_stands_there_a_limit_is_one_that_can_be_kept(headers: dict[str, str]) -> None:
    told = rate_limits(headers)
    assert all(1 <= one.limit <= MOST for one in told)
    assert all(0 <= one.used <= one.limit for one in told)
    assert all(one.window_seconds in (1, 60, 86_400) for one in told)


@given(st.integers(1, MOST), st.integers(0, MOST), st.integers(0, 60))
def test_a_well_formed_limit_is_read_as_it_is(limit: int, remaining: int, reset: int) -> None:
    headers = openai(
        limit_requests=str(limit),
        remaining_requests=str(min(limit, remaining)),
        reset_requests=f"{reset}s",
    )
    used = max(0, limit - min(limit, remaining))
    assert rate_limits(headers)[0] == RateLimit("requests", limit, 60, used)


@given(st.integers(0, 86_400_000))
def test_a_duration_is_read_as_a_wait_is(milliseconds: int) -> None:
    text = f"{milliseconds}ms"
    assert reset_seconds(text, "") == (from_duration(text) or 0.0)
