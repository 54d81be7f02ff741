from __future__ import annotations

import json
from typing import Any

import pytest

from penstock._core import Classifier
from penstock.providers.openai_verdicts import RULES
from penstock.providers.refusals import read_refusal
from penstock.providers.verdicts import BAD_RESPONSE, ERROR_IN_200, TRANSPORT

CLASSIFIER = Classifier(RULES)

BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def openai(code: str | None = None, type: str | None = None) -> bytes:
    return body({"error": {"message": "no", "type": type, "param": None, "code": code}})


def old_vllm(code: int, type: str) -> bytes:
    return body({"object": "error", "message": "no", "type": type, "param": None, "code": code})


def new_vllm(code: int, type: str) -> bytes:
    return body({"error": {"message": "no", "type": type, "param": None, "code": code}})


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def verdict(status: int, raw: bytes) -> tuple[str, str]:
    """The way of the engine: the body's code and type, then the table."""
    refusal = read_refusal(status, {}, raw)
    found = CLASSIFIER.classify(status, refusal.code, refusal.type)
    return found.kind, found.error_class


LITELLM_MODEL = "/chat/completions: Invalid model name passed in model=nope. Call `/v1/models`"


def litellm(code: int, type: str, message: str = "no") -> bytes:
    """A status as a text is its code, for whatever it answers itself or passes on."""
    return body({"error": {"message": message, "type": type, "param": None, "code": str(code)}})


CELLS = [
    # LiteLLM
    (400, litellm(400, "invalid_request_error"), "rejected", "invalid_request"),
    (400, litellm(400, "invalid_request_error", LITELLM_MODEL), "fatal", "model"),
    (400, litellm(400, "no_db_connection"), "fatal", "auth"),
    (401, litellm(401, "auth_error"), "fatal", "auth"),
    (408, litellm(408, "timeout_error"), "retry", "server_timeout"),
    (429, litellm(429, "throttling_error"), "throttled", "rate_limit"),
    (500, litellm(500, "internal_server_error"), "retry", "server_error"),
    (500, b"Internal Server Error", "retry", "server_error"),
    # llama.cpp, asked for what it was not started with
    (501, new_vllm(501, "not_supported_error"), "rejected", "invalid_request"),
    (501, openai(), "retry", "server_error"),
    # FastAPI
    (404, body({"detail": "Not Found"}), "fatal", "not_found"),
    (422, body({"detail": [{"loc": ["body"], "msg": "no"}]}), "rejected", "invalid_request"),
    # OpenAI: retry
    (408, openai(), "retry", "server_timeout"),
    (409, openai(), "retry", "conflict"),
    (500, openai(None, "server_error"), "retry", "server_error"),
    (502, openai(), "retry", "server_error"),
    (503, openai(None, "server_error"), "retry", "server_error"),
    (504, openai(), "retry", "server_error"),
    (599, openai(), "retry", "server_error"),
    # OpenAI: throttled
    (429, openai("rate_limit_exceeded", "requests"), "throttled", "rate_limit"),
    (429, openai("rate_limit_exceeded", "tokens"), "throttled", "rate_limit"),
    (429, openai("slow_down"), "throttled", "rate_limit"),
    (503, openai("slow_down"), "throttled", "rate_limit"),
    (429, openai(), "throttled", "rate_limit"),
    # OpenAI: never retry
    (400, openai(None, "invalid_request_error"), "rejected", "invalid_request"),
    (400, openai("context_length_exceeded"), "rejected", "context_length"),
    (400, openai("content_policy_violation"), "rejected", "content_filter"),
    (404, openai(None, "invalid_request_error"), "rejected", "not_found"),
    (413, openai(), "rejected", "request_too_large"),
    (413, openai("rate_limit_exceeded", "tokens"), "rejected", "request_too_large"),
    (422, openai(), "rejected", "invalid_request"),
    # OpenAI: fatal
    (401, openai("invalid_api_key", "invalid_request_error"), "fatal", "auth"),
    (401, openai(), "fatal", "auth"),
    (403, openai("unsupported_country_region_territory"), "fatal", "permission"),
    (429, openai("insufficient_quota", "insufficient_quota"), "fatal", "quota"),
    (429, openai(None, "insufficient_quota"), "fatal", "quota"),
    (429, openai("credit_balance_exhausted"), "fatal", "quota"),
    (429, openai("organization_spend_limit_exceeded"), "fatal", "quota"),
    (429, openai("project_spend_limit_exceeded"), "fatal", "quota"),
    (429, openai("organization_usage_limit_exceeded"), "fatal", "quota"),
    (429, openai("billing_hard_limit_reached"), "fatal", "quota"),
    (402, openai(), "fatal", "quota"),
    (404, openai("model_not_found", "invalid_request_error"), "fatal", "model"),
    (403, openai("model_not_found"), "fatal", "model"),
    # Azure
    (500, openai(), "retry", "server_error"),
    (429, openai("429"), "throttled", "rate_limit"),
    (400, openai("content_filter"), "rejected", "content_filter"),
    (401, openai("401"), "fatal", "auth"),
    (403, openai("403"), "fatal", "permission"),
    (404, openai("404"), "fatal", "not_found"),
    (404, openai("DeploymentNotFound"), "fatal", "model"),
    # vLLM, Ollama, llama.cpp
    (500, new_vllm(500, "InternalServerError"), "retry", "server_error"),
    (429, new_vllm(429, "RateLimitError"), "throttled", "rate_limit"),
    (503, new_vllm(503, "ServiceUnavailable"), "throttled", "overloaded"),
    (503, new_vllm(503, "unavailable_error"), "throttled", "overloaded"),
    (503, body({"error": "server busy, please try again"}), "throttled", "overloaded"),
    (400, old_vllm(400, "BadRequestError"), "rejected", "invalid_request"),
    (400, new_vllm(400, "BadRequestError"), "rejected", "invalid_request"),
    (400, new_vllm(400, "exceed_context_size_error"), "rejected", "context_length"),
    (401, body({"error": "Unauthorized"}), "fatal", "auth"),
    (403, body({"error": "Forbidden"}), "fatal", "permission"),
    (404, old_vllm(404, "NotFoundError"), "fatal", "not_found"),
    (404, new_vllm(404, "NotFoundError"), "fatal", "not_found"),
    (404, openai(None, "not_found_error"), "fatal", "model"),
    # seen in the wild
    (502, BAD_GATEWAY, "retry", "server_error"),
    (503, BAD_GATEWAY, "retry", "server_error"),
    (503, b"", "retry", "server_error"),
    (429, b"", "throttled", "rate_limit"),
    (429, b"\xff{", "throttled", "rate_limit"),
    (429, openai(None, "credit_limit"), "throttled", "rate_limit"),
    (402, openai(None, "credit_limit"), "fatal", "quota"),
    (529, openai(None, "overloaded_error"), "throttled", "overloaded"),
    (404, body({"detail": "Not Found"}), "fatal", "not_found"),
    (404, BAD_GATEWAY, "fatal", "not_found"),
    (405, b"", "fatal", "not_found"),
    (407, b"", "fatal", "auth"),
    (418, b"", "rejected", "invalid_request"),
    (425, b"", "retry", "conflict"),
]


@pytest.mark.parametrize(("status", "raw", "kind", "error_class"), CELLS)
def test_every_cell_of_the_table_has_its_verdict(
    status: int, raw: bytes, kind: str, error_class: str
) -> None:
    assert verdict(status, raw) == (kind, error_class)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        ("connect", "retry"),
        ("dns", "retry"),
        ("connect_timeout", "retry"),
        ("timeout", "retry"),
        ("disconnected", "retry"),
        ("malformed", "retry"),
        ("tls", "fatal"),
        ("redirect", "fatal"),
        ("too_large", "rejected"),
    ],
)
def test_every_way_to_fail_without_an_answer_has_its_verdict(failure: str, kind: str) -> None:
    assert CLASSIFIER.classify(TRANSPORT[failure]).kind == kind


def test_the_verdicts_of_failures_without_an_answer_all_have_classes_of_their_own() -> None:
    numbers = [*TRANSPORT.values(), BAD_RESPONSE, ERROR_IN_200]
    classes = {CLASSIFIER.classify(number).error_class for number in numbers}
    assert len(classes) == len(set(numbers)) == len(TRANSPORT) + 2


@pytest.mark.parametrize(
    ("code", "type", "kind"),
    [
        ("server_error", None, "retry"),
        ("rate_limit_exceeded", None, "throttled"),
        ("insufficient_quota", None, "fatal"),
        ("429", None, "throttled"),
        ("401", None, "fatal"),
        ("400", None, "rejected"),
        ("502", None, "retry"),
        (None, "invalid_request_error", "rejected"),
        ("context_length_exceeded", "invalid_request_error", "rejected"),
        ("what nobody knows", "either", "retry"),
        (None, None, "retry"),
    ],
)
def test_an_error_object_in_a_200_is_judged_by_what_it_says(
    code: str | None, type: str | None, kind: str
) -> None:
    assert CLASSIFIER.classify(ERROR_IN_200, code, type).kind == kind


def test_a_200_is_a_success_and_a_bad_one_is_retried() -> None:
    assert CLASSIFIER.classify(200).kind == "succeeded"
    assert CLASSIFIER.classify(BAD_RESPONSE).kind == "retry"
    assert CLASSIFIER.classify(BAD_RESPONSE).error_class == "bad_response"


def test_no_two_rules_are_for_the_same_case() -> None:
    cases = [(status, key) for status, key, _, _ in RULES]
    assert len(cases) == len(set(cases))


def test_message_text_never_decides() -> None:
    lying = body({"error": {"message": "insufficient_quota model_not_found", "code": None}})
    assert verdict(429, lying) == ("throttled", "rate_limit")
