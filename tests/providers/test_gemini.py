"""Gemini's generateContent: requests from what a job says, answers and errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock._core import Classifier
from penstock.job import Job
from penstock.providers.gemini import Gemini
from penstock.providers.gemini_verdicts import RULES
from penstock.providers.openai_verdicts import RULES as OPENAI_RULES
from penstock.providers.provider import Answer, BadResponse, Refusal, UnrenderableRecord
from penstock.providers.refusals import read_refusal
from penstock.providers.verdicts import ERROR_IN_200
from penstock.record import Record

URL = "https://generativelanguage.googleapis.com/v1beta"
PNG = "data:image/png;base64,iVBORw0KGgo="
FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object"}}


def dialect(**options: Any) -> Gemini:
    return Gemini(Job(**{"model": "gemini-x", "provider": "gemini", "base_url": URL, **options}))


def body(asked: Gemini, **fields: Any) -> Any:
    return json.loads(asked.request(Record(0, "f:1", fields=fields)).body)


def sent(messages: list[dict[str, Any]], **options: Any) -> Any:
    return body(dialect(messages="m", **options), m=messages)


def test_a_prompt_is_a_content_and_the_model_is_in_the_path() -> None:
    request = dialect(prompt="Hi {{ a }}").request(Record(0, "f:1", fields={"a": "Zoë"}))
    assert request.path == "/models/gemini-x:generateContent"
    assert request.body.decode() == '{"contents":[{"role":"user","parts":[{"text":"Hi Zoë"}]}]}'
    assert request.output_tokens == 0


@pytest.mark.parametrize(
    ("base_url", "model", "path"),
    [
        ("https://h", "m", "/v1beta/models/m:generateContent"),
        ("https://h/v1/", "m", "/models/m:generateContent"),
        ("https://h/v1alpha", "models/m", "/models/m:generateContent"),
        ("https://h/v1beta", "tunedModels/my m", "/tunedModels/my%20m:generateContent"),
        (
            "https://h/v1/projects/p/locations/l/publishers/google",
            "m",
            "/models/m:generateContent",
        ),
    ],
)
def test_the_path_is_what_the_base_url_lacks_of_it(base_url: str, model: str, path: str) -> None:
    assert dialect(prompt="x", base_url=base_url, model=model).path == path


def test_the_key_is_a_header_of_its_own() -> None:
    headers = dialect(prompt="x").headers("k")
    assert headers["x-goog-api-key"] == "k" and "Authorization" not in headers


def test_system_messages_are_the_instruction() -> None:
    assert body(dialect(prompt="x", system="s")) == {
        "contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "systemInstruction": {"parts": [{"text": "s"}]},
    }


def test_images_and_files_are_data_or_uris() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "image_url", "image_url": {"url": "https://h/a.jpg"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "file", "file": {"file_id": "files/abc"}},
        {"type": "input_audio", "input_audio": {"format": "mp3", "data": "AAAA"}},
        {"inlineData": {"mimeType": "image/heic", "data": "AAAA"}},
    ]
    assert sent([{"role": "user", "content": parts}])["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
        {"fileData": {"fileUri": "https://h/a.jpg", "mimeType": "image/jpeg"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        {"fileData": {"fileUri": "files/abc"}},
        {"inlineData": {"mimeType": "audio/mp3", "data": "AAAA"}},
        parts[-1],
    ]


def test_functions_that_were_called_are_told_with_their_results_in_one_content() -> None:
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]
    asked = sent(
        [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c1", "content": "1"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "2"}]},
            {"role": "assistant", "content": "y"},
        ]
    )["contents"]
    assert [one["role"] for one in asked] == ["user", "model", "user", "model"]
    assert asked[1]["parts"][0] == {"functionCall": {"name": "f", "args": {"a": 1}}}
    assert asked[2]["parts"] == [
        {"functionResponse": {"name": "f", "response": {"result": "1"}}},
        {"functionResponse": {"name": "g", "response": {"result": "2"}}},
    ]
    with pytest.raises(UnrenderableRecord, match="no message before it"):
        sent([{"role": "tool", "tool_call_id": "c9", "content": "1"}])


def test_contents_in_gemini_s_own_shape_stay_as_they_are() -> None:
    own = {"role": "model", "parts": [{"text": "x", "thoughtSignature": "s"}]}
    assert sent([{"role": "user", "content": "a"}, own])["contents"][1] == own


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        (
            {"temperature": 0, "max_tokens": 9, "stop": "END", "n": 2},
            {
                "generationConfig": {
                    "temperature": 0,
                    "maxOutputTokens": 9,
                    "stopSequences": ["END"],
                    "candidateCount": 2,
                }
            },
        ),
        (
            {"generationConfig.maxOutputTokens": 9, "max_tokens": 5},
            {"generationConfig": {"maxOutputTokens": 9}},
        ),
        (
            {"thinkingConfig.thinkingBudget": 0},
            {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}},
        ),
        (
            {"tools": [{"type": "function", "function": FUNCTION}, {"googleSearch": {}}]},
            {
                "tools": [
                    {
                        "functionDeclarations": [
                            {
                                "name": "f",
                                "description": "d",
                                "parametersJsonSchema": {"type": "object"},
                            }
                        ]
                    },
                    {"googleSearch": {}},
                ]
            },
        ),
        (
            {"tools": [{"functionDeclarations": [{"name": "f"}]}]},
            {"tools": [{"functionDeclarations": [{"name": "f"}]}]},
        ),
        (
            {"tool_choice": "required"},
            {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
        ),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            {
                "toolConfig": {
                    "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}
                }
            },
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {"type": "object"}},
                }
            },
            {
                "generationConfig": {
                    "responseMimeType": "application/json",
                    "responseJsonSchema": {"type": "object"},
                }
            },
        ),
        (
            {"response_format": {"type": "json_object"}},
            {"generationConfig": {"responseMimeType": "application/json"}},
        ),
        ({"safetySettings": []}, {"safetySettings": []}),
    ],
)
def test_parameters_are_given_in_openai_s_shape_or_in_gemini_s(
    param: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = body(dialect(prompt="x", param=param))
    assert {name: found[name] for name in found.keys() - {"contents"}} == expected


def test_the_most_that_is_asked_for_is_known() -> None:
    assert dialect(prompt="x", param={"max_tokens": 9, "n": 2}).output_tokens == 18
    assert dialect(prompt="x", param={"max_tokens": "9"}).output_tokens == 0


# --- answers ------------------------------------------------------------------------------------


def generated(*parts: dict[str, Any], reason: Any = "STOP", **others: Any) -> bytes:
    content = {"role": "model", "parts": list(parts)}
    value = {
        "candidates": [{"content": content, "finishReason": reason, "index": 0}],
        "modelVersion": "gemini-x-001",
        "usageMetadata": {
            "promptTokenCount": 100,
            "toolUsePromptTokenCount": 5,
            "cachedContentTokenCount": 40,
            "candidatesTokenCount": 20,
            "thoughtsTokenCount": 300,
        },
        **others,
    }
    return json.dumps(value).encode()


SAID = {"text": "hello"}


def read(raw: bytes) -> Answer | Refusal:
    return dialect(prompt="x").answer("", raw)


def test_thoughts_are_a_part_of_the_output_in_counts_and_beside_it_in_text() -> None:
    found = read(generated({"text": "hm", "thought": True}, SAID, {"text": "!"}))
    assert found == Answer("hello!", "STOP", "gemini-x-001", 105, 40, 320, 300, reasoning="hm")


def test_counts_that_are_left_out_are_zero() -> None:
    found = read(generated(SAID, usageMetadata={"promptTokenCount": 3}))
    assert isinstance(found, Answer)
    assert (found.input_tokens, found.output_tokens) == (3, 0)
    odd = read(generated(SAID, usageMetadata={"promptTokenCount": -1}, modelVersion=7))
    assert odd == Answer("hello", "STOP")


def test_function_calls_are_told_as_they_came() -> None:
    call = {"name": "f", "args": {"a": "é"}}
    both = read(generated(SAID, {"functionCall": call, "thoughtSignature": "s"}))
    assert isinstance(both, Answer)
    assert (both.output, json.loads(both.tool_calls or "")) == ("hello", [call])
    alone = read(generated({"functionCall": call}))
    assert isinstance(alone, Answer) and alone.output == alone.tool_calls


def test_an_answer_that_a_limit_cut_is_truncated_though_it_says_nothing() -> None:
    found = read(generated(reason="MAX_TOKENS"))
    assert isinstance(found, Answer)
    assert (found.output, found.finish_reason, found.truncated) == (None, "MAX_TOKENS", True)
    bare = read(json.dumps({"candidates": [{"finishReason": "SAFETY"}]}).encode())
    assert bare == Answer(None, "SAFETY")


def test_a_prompt_that_was_blocked_is_an_answer_with_the_reason() -> None:
    raw = json.dumps({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}).encode()
    assert read(raw) == Answer(None, "PROHIBITED_CONTENT")


def test_several_candidates_are_a_json_list() -> None:
    one = {"content": {"parts": [SAID]}, "finishReason": "STOP"}
    found = read(json.dumps({"candidates": [one, one]}).encode())
    assert isinstance(found, Answer) and found.output == '["hello","hello"]'


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"candidates": []}', b'{"candidates": [{}]}', b"["])
def test_a_200_without_an_answer_is_a_bad_response(raw: bytes) -> None:
    with pytest.raises(BadResponse, match=r"^a 200 "):
        read(raw)


def test_an_answer_that_was_cut_anywhere_is_a_bad_response() -> None:
    raw = generated(SAID)
    for end in range(len(raw)):
        with pytest.raises(BadResponse):
            read(raw[:end])


# --- errors -------------------------------------------------------------------------------------


def error(code: int, status: str, *details: dict[str, Any]) -> bytes:
    said = {"code": code, "message": "no", "status": status, "details": list(details)}
    return json.dumps({"error": said}).encode()


def quota(*ids: str) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaMetric": "m", "quotaId": one} for one in ids],
    }


MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
TOKENS_DAY = "GenerateContentInputTokensPerModelPerDay"
WAIT = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36s"}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}

NO_MODEL = b'"models/x is not found for API version v1beta, or is not supported for it"'

CELLS = [
    (400, error(400, "INVALID_ARGUMENT"), "rejected", "invalid_request"),
    (400, error(400, "FAILED_PRECONDITION"), "rejected", "invalid_request"),
    (400, error(400, "INVALID_ARGUMENT", BAD_KEY), "fatal", "auth"),
    (401, error(401, "UNAUTHENTICATED"), "fatal", "auth"),
    (402, error(402, "WHAT"), "fatal", "quota"),
    (403, error(403, "PERMISSION_DENIED"), "fatal", "permission"),
    (404, error(404, "NOT_FOUND"), "rejected", "not_found"),
    (404, error(404, "NOT_FOUND").replace(b'"no"', NO_MODEL), "fatal", "model"),
    (404, b"<html>", "fatal", "not_found"),
    (413, b"", "rejected", "request_too_large"),
    (429, error(429, "RESOURCE_EXHAUSTED"), "throttled", "rate_limit"),
    (429, error(429, "RESOURCE_EXHAUSTED", quota(MINUTE), WAIT), "throttled", "rate_limit"),
    (429, error(429, "RESOURCE_EXHAUSTED", quota(DAY), WAIT), "fatal", "quota"),
    (429, error(429, "RESOURCE_EXHAUSTED", WAIT, quota(MINUTE, TOKENS_DAY)), "fatal", "quota"),
    (429, b"", "throttled", "rate_limit"),
    (499, error(499, "CANCELLED"), "retry", "server_timeout"),
    (500, error(500, "INTERNAL"), "retry", "server_error"),
    (502, b"<html>", "retry", "server_error"),
    (503, error(503, "UNAVAILABLE"), "retry", "overloaded"),
    (504, error(504, "DEADLINE_EXCEEDED"), "retry", "server_timeout"),
]


@pytest.mark.parametrize(("status", "raw", "kind", "error_class"), CELLS)
def test_every_error_has_its_verdict(status: int, raw: bytes, kind: str, error_class: str) -> None:
    refusal = read_refusal(status, {}, raw)
    verdict = Classifier(RULES).classify(status, refusal.code, refusal.type)
    assert (verdict.kind, verdict.error_class) == (kind, error_class)


def test_a_quota_of_the_day_is_known_in_its_list_for_compatible_clients_too() -> None:
    raw = b"[" + error(429, "RESOURCE_EXHAUSTED", quota(DAY), WAIT) + b"]"
    refusal = read_refusal(429, {}, raw)
    assert Classifier(OPENAI_RULES).classify(429, refusal.code, refusal.type).kind == "fatal"


def test_the_wait_is_in_the_details() -> None:
    raw = error(429, "RESOURCE_EXHAUSTED", quota(MINUTE), WAIT)
    assert read_refusal(429, {}, raw).wait_seconds == 36.0


@pytest.mark.parametrize("details", [5, [5], [{"violations": 5}], [{"violations": [5]}], {}])
def test_details_that_are_odd_break_nothing(details: Any) -> None:
    raw = json.dumps({"error": {"code": 429, "message": "no", "details": details}}).encode()
    assert read_refusal(429, {}, raw).code == "429"


def test_an_error_inside_a_200_is_judged_as_that_error() -> None:
    found = read(error(400, "INVALID_ARGUMENT"))
    assert isinstance(found, Refusal)
    verdict = Classifier(RULES).classify(ERROR_IN_200, found.code, found.type)
    assert (verdict.kind, verdict.error_class) == ("rejected", "invalid_request")
