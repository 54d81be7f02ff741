"""What tokens cost, against the providers' own arithmetic and against the list's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.price_list import look_up, may_know, rates_of
from penstock.engine.rates import (
    MOST_PUSD,
    PER_USD,
    PER_USD_A_MILLION,
    Rates,
    changed,
    cost_pusd,
    dearest,
    pusd,
    rate_words,
    usd,
)

OPENAI = "https://api.openai.com/v1"
ANTHROPIC = "https://api.anthropic.com"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/openai"
PLAIN = Rates(1, 1, 1, 2, 2)

# What is charged by the token and nothing else; the rest of the list is for other jobs.
BY_TOKENS = {"input_mtok", "cache_read_mtok", "cache_write_mtok", "output_mtok"}
LISTED = [
    (provider, model)
    for provider in get_snapshot().providers
    for model in provider.models
    if rates_of(model.get_prices(datetime.now(UTC))) is not None
    and {key for key, value in vars(model.get_prices(datetime.now(UTC))).items() if value}
    <= BY_TOKENS
]


def has_thirds(prices: object) -> bool:
    """Whether a token costs no whole number of picodollars: a few of the list cost a third more."""
    of_tokens = [value for key, value in vars(prices).items() if key in BY_TOKENS and value]
    amounts = [
        amount
        for value in of_tokens
        for amount in (
            (value.base, *(tier.price for tier in value.tiers))
            if hasattr(value, "tiers")
            else (value,)
        )
    ]
    return any(amount * PER_USD_A_MILLION % 1 for amount in amounts)


def listed(url: str, model: str, **params: str) -> Rates:
    found = look_up(url, model, params)
    assert found is not None
    return found


# Prices in dollars per million tokens, as each provider's page has them; the sum is written out as
# that page does it.
@pytest.mark.parametrize(
    ("url", "model", "usage", "expected_usd"),
    [
        # platform.openai.com/docs/guides/prompt-caching: 2006 prompt tokens, 1920 of them cached.
        (
            OPENAI,
            "gpt-4o-mini",
            (2006, 1920, 0, 300, 0),
            (86 * 0.15 + 1920 * 0.075 + 300 * 0.60) / 1e6,
        ),
        # platform.openai.com/docs/guides/reasoning: reasoning is billed as output, and part of it.
        (OPENAI, "o3", (75, 0, 0, 1186, 1024), (75 * 2.00 + 1186 * 8.00) / 1e6),
        # docs.anthropic.com/en/docs/build-with-claude/prompt-caching: input is the sum of three.
        (
            ANTHROPIC,
            "claude-sonnet-4-0",
            (50 + 100_000 + 2_000, 100_000, 2_000, 503, 0),
            (50 * 3.00 + 100_000 * 0.30 + 2_000 * 3.75 + 503 * 15.00) / 1e6,
        ),
        # ai.google.dev/gemini-api/docs/pricing: prompts above 200k make all of it dearer.
        (GEMINI, "gemini-2.5-pro", (200_000, 0, 0, 1000, 0), (200_000 * 1.25 + 1000 * 10) / 1e6),
        (GEMINI, "gemini-2.5-pro", (200_001, 0, 0, 1000, 0), (200_001 * 2.5 + 1000 * 15) / 1e6),
    ],
)
def test_an_answer_costs_what_the_providers_arithmetic_says(
    url: str, model: str, usage: tuple[int, int, int, int, int], expected_usd: float
) -> None:
    assert usd(cost_pusd(listed(url, model), *usage)) == pytest.approx(expected_usd, rel=1e-12)


@given(
    st.integers(0, len(LISTED) - 1),  # not the model itself, which is pages long when shown
    st.integers(0, 600_000),
    st.integers(0, 600_000),
    st.integers(0, 600_000),
    st.integers(0, 200_000),
)
def test_every_model_of_the_list_costs_what_the_list_says(
    which: int, plain: int, cached: int, stored: int, written: int
) -> None:
    provider, model = LISTED[which]
    usage = Usage(
        input_tokens=plain + cached + stored,
        cache_read_tokens=cached,
        cache_write_tokens=stored,
        output_tokens=written,
    )
    expected = model.calc_price(usage, provider).total_price
    prices = model.get_prices(datetime.now(UTC))
    rates = rates_of(prices)
    assert rates is not None
    ours = cost_pusd(rates, plain + cached + stored, cached, stored, written, 0)
    tokens = plain + cached + stored + written
    off = abs(ours - min(MOST_PUSD, round(expected * PER_USD)))
    assert off <= (tokens / 2 if has_thirds(prices) else 0)


def test_the_lists_own_function_agrees_by_name_and_url() -> None:
    usage = Usage(input_tokens=1000, output_tokens=100, cache_read_tokens=300)
    theirs = calc_price(usage, "gpt-4o", provider_api_url=OPENAI).total_price
    ours = cost_pusd(listed(OPENAI, "gpt-4o"), 1000, 300, 0, 100, 0)
    assert ours == round(theirs * PER_USD)


def test_a_service_tier_that_is_asked_for_has_its_own_price() -> None:
    usual, priority = listed(OPENAI, "gpt-5"), listed(OPENAI, "gpt-5", service_tier="priority")
    assert priority.input > usual.input


@pytest.mark.parametrize(
    ("url", "model", "expected"),
    [
        (OPENAI, "anything", True),
        ("https://my.openai.azure.com/openai/v1", "deployment", True),
        ("http://127.0.0.1:4000/v1", "gpt-4o-mini", True),
        ("http://gateway.internal/v1", "claude-sonnet-4-0", True),
        ("http://127.0.0.1:8000/v1", "gpt-oss-120b", False),
        ("http://127.0.0.1:8000/v1", "mistral-7b", False),
        ("http://127.0.0.1:8000/v1", None, False),
        ("http://notopenai.com/v1", "m", False),
    ],
)
def test_a_glance_tells_whether_the_list_may_know(
    url: str, model: str | None, expected: bool
) -> None:
    assert may_know(url, model) is expected


def test_a_gateways_model_costs_what_its_maker_asks() -> None:
    gateway = "http://127.0.0.1:4000/v1"
    assert listed(gateway, "gpt-4o-mini") == listed(OPENAI, "gpt-4o-mini")
    assert listed(gateway, "claude-sonnet-4-0") == listed(ANTHROPIC, "claude-sonnet-4-0")
    embeddings = "text-embedding-3-small"
    assert listed(gateway, embeddings) == listed(OPENAI, embeddings)


@pytest.mark.parametrize(
    ("url", "model"),
    [(OPENAI, "no-such-model"), ("http://127.0.0.1/v1", "m"), ("https://api.x.ai/v1", "claude-1")],
)
def test_what_the_list_has_not_has_no_price(url: str, model: str) -> None:
    assert look_up(url, model, {}) is None


def test_a_price_that_is_given_goes_over_what_is_found_and_holds_at_any_length() -> None:
    found = Rates(10, 5, 12, 20, 20, longer=(Rates(20, 10, 24, 40, 40, above_tokens=100),))
    ours = changed(found, {"output": 7e-6})
    assert ours is not None
    assert (ours.input, ours.cached, ours.output) == (10, 5, 7)
    assert (ours.longer[0].input, ours.longer[0].output, ours.longer[0].above_tokens) == (
        20,
        7,
        100,
    )
    assert cost_pusd(ours, 101, 0, 0, 1, 0) == 101 * 20 + 7
    assert changed(found, {}) == found


def test_a_part_without_a_price_of_its_own_costs_what_is_given_for_its_whole() -> None:
    found = Rates(10, 5, 10, 20, 20, longer=(Rates(20, 10, 20, 40, 60, above_tokens=100),))
    ours = changed(found, {"input": 3e-6, "output": 7e-6})
    assert ours == Rates(3, 5, 3, 7, 7, longer=(Rates(3, 10, 3, 7, 60, above_tokens=100),))


def test_a_price_that_is_given_alone_must_have_both_ends() -> None:
    assert changed(None, {"input": 1.0}) is None
    assert changed(None, {"output": 1.0}) is None
    assert changed(None, {}) is None
    whole = changed(None, {"input": 0.15, "output": 0.6, "cached": 0.01, "request": 0.002})
    assert whole == Rates(150_000, 10_000, 150_000, 600_000, 600_000, 2 * PER_USD // 1000)


def test_a_part_that_is_larger_than_its_whole_makes_nothing_negative() -> None:
    assert cost_pusd(PLAIN, 1, 5, 0, 1, 5) == 5 * 1 + 5 * 2
    assert cost_pusd(PLAIN, 0, 0, 0, 0, 0) == 0


def test_nonsense_costs_a_bounded_sum() -> None:
    assert cost_pusd(PLAIN, 10**18, 0, 0, 10**18, 0) == MOST_PUSD


def test_dollars_and_picodollars() -> None:
    assert pusd(0.1) == 10**11
    assert usd(pusd(12.345678)) == 12.345678
    assert dearest([PLAIN, Rates(1, 1, 1, 3, 3)]).output == 3


def test_rates_are_told_by_the_million() -> None:
    assert rate_words(listed(OPENAI, "gpt-4o-mini")) == "$0.15 in, $0.075 cached, $0.6 out"
    told = rate_words(listed(GEMINI, "gemini-2.5-pro"))
    assert told.endswith("more above 200,000 tokens of input")
    every = Rates(10**6, 1, 2, 3, 4, PER_USD)
    assert rate_words(every).startswith("$1 in, $1e-06 cached, $2e-06 written to the cache")
    assert rate_words(every).endswith("$4e-06 reasoning, $1 a request")
