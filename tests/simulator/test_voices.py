"""The same refusals in the words of four providers, and the headers of their answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.simulator import refusals
from penstock.simulator.limits import SECOND_NS, Limits, Throttle
from penstock.simulator.refusals import Refusal
from penstock.simulator.settings import Settings
from penstock.simulator.voices import ANTHROPIC, AZURE, GEMINI, OPENAI, Voice, refusal_answer

THROTTLED = refusals.throttled(Throttle("rpm", "requests", 10, 10, 1, 2_500_000_000), "m")


def worded(voice: Voice, refusal: Refusal) -> tuple[int, str, Any]:
    answer = refusal_answer(refusal, voice)
    return answer.status, answer.headers, json.loads(answer.pieces[0][1])


@pytest.mark.parametrize(
    ("refusal", "status", "type"),
    [
        (refusals.missing_key(), 401, "authentication_error"),
        (refusals.unknown_model("m"), 404, "not_found_error"),
        (refusals.record_rejected(), 400, "invalid_request_error"),
        (refusals.server_error(), 500, "api_error"),
        (THROTTLED, 429, "rate_limit_error"),
        (refusals.quota_gone(), 429, "rate_limit_error"),
    ],
)
def test_anthropic_has_a_type_for_each_status(refusal: Refusal, status: int, type: str) -> None:
    found, _, body = worded(ANTHROPIC, refusal)
    assert (found, body["type"], body["error"]["type"]) == (status, "error", type)


def test_anthropic_says_in_details_that_the_money_is_gone_and_names_no_wait() -> None:
    _, headers, body = worded(ANTHROPIC, refusals.quota_gone())
    assert body["error"]["details"] == {"error_code": "enforced_spend_limit_reached"}
    assert headers == ""
    assert worded(ANTHROPIC, THROTTLED)[1] == "retry-after: 3\r\n"


def test_gemini_says_what_only_its_details_say() -> None:
    status, headers, body = worded(GEMINI, THROTTLED)
    assert (status, headers) == (429, "")
    assert body["error"]["status"] == "RESOURCE_EXHAUSTED"
    quota, wait = body["error"]["details"]
    assert "PerMinute" in quota["violations"][0]["quotaId"]
    assert wait["retryDelay"] == "2.500s"
    gone = worded(GEMINI, refusals.quota_gone())[2]["error"]["details"]
    assert "PerDay" in gone[0]["violations"][0]["quotaId"] and len(gone) == 1


def test_anthropic_and_gemini_say_in_words_alone_that_a_model_is_not_there() -> None:
    gone = refusals.unknown_model("m")
    assert worded(ANTHROPIC, gone)[2]["error"]["message"] == "model: m"
    assert worded(GEMINI, gone)[2]["error"]["message"].startswith("models/m is not found")


def test_gemini_calls_a_wrong_key_an_invalid_argument() -> None:
    status, _, body = worded(GEMINI, refusals.wrong_key("k"))
    assert (status, body["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert body["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    assert worded(GEMINI, refusals.missing_key())[0] == 401


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (refusals.missing_key(), 401, "401"),
        (refusals.wrong_key("k"), 401, "401"),
        (refusals.unknown_model("m"), 404, "DeploymentNotFound"),
        (refusals.record_rejected(), 400, "content_filter"),
        (THROTTLED, 429, "429"),
        (refusals.quota_gone(), 429, "insufficient_quota"),
    ],
)
def test_azure_has_codes_of_its_own(refusal: Refusal, status: int, code: str) -> None:
    found, _, body = worded(AZURE, refusal)
    assert (found, body["error"]["code"]) == (status, code)


def test_azure_says_the_wait_in_words_too() -> None:
    _, headers, body = worded(AZURE, THROTTLED)
    assert body["error"]["message"].endswith("Please retry after 3 seconds.")
    assert "retry-after-ms: 2500\r\n" in headers


@pytest.mark.parametrize(
    ("voice", "name", "value"),
    [
        (OPENAI, "authorization", "Bearer k"),
        (AZURE, "api-key", "k"),
        (AZURE, "authorization", "Bearer k"),
        (ANTHROPIC, "x-api-key", "k"),
        (GEMINI, "x-goog-api-key", "k"),
    ],
)
def test_a_key_is_where_its_provider_wants_it(voice: Voice, name: str, value: str) -> None:
    assert voice.key({name: value}) == "k"
    assert voice.key({"x-other": "k"}) == ""


def test_each_provider_tells_of_its_limits_in_its_own_headers() -> None:
    limits = Limits(Settings(rpm=10, tpm=12_345))
    limits.admit(0, 700, 0)
    openai = OPENAI.headers("1", limits, SECOND_NS, 0.0)
    assert "x-request-id: req_1\r\n" in openai
    assert "x-ratelimit-remaining-requests: 9\r\n" in openai
    anthropic = ANTHROPIC.headers("1", limits, SECOND_NS, 1_700_000_001.0)
    assert anthropic == (
        "request-id: req_1\r\n"
        "anthropic-ratelimit-requests-limit: 10\r\n"
        "anthropic-ratelimit-requests-remaining: 9\r\n"
        "anthropic-ratelimit-requests-reset: 2023-11-14T22:14:20Z\r\n"
        "anthropic-ratelimit-tokens-limit: 12345\r\n"
        "anthropic-ratelimit-tokens-remaining: 11000\r\n"
        "anthropic-ratelimit-tokens-reset: 2023-11-14T22:14:20Z\r\n"
    )
    assert GEMINI.headers("1", limits, SECOND_NS, 0.0) == ""
