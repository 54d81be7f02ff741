"""Anthropic's messages: requests from what a job says, and answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock._core import Classifier
from penstock.job import Job
from penstock.providers.anthropic import Anthropic
from penstock.providers.anthropic_verdicts import RULES
from penstock.providers.provider import Answer, BadResponse, Refusal, UnrenderableRecord
from penstock.providers.refusals import read_refusal
from penstock.providers.verdicts import ERROR_IN_200
from penstock.record import BatchLine, Record

PNG = "data:image/png;base64,iVBORw0KGgo="
TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
}


def dialect(**options: Any) -> Anthropic:
    url = {"base_url": "https://api.anthropic.com/v1"}
    return Anthropic(Job(**{"model": "claude-x", "provider": "anthropic", **url, **options}))


def body(asked: Anthropic, **fields: Any) -> Any:
    return json.loads(asked.request(Record(0, "f:1", fields=fields)).body)


def sent(messages: list[dict[str, Any]], **options: Any) -> Any:
    return body(dialect(messages="m", **options), m=messages)


def test_a_prompt_is_a_message_and_max_tokens_is_sent() -> None:
    asked = dialect(prompt="Hi {{ name }}", param={"temperature": 0})
    request = asked.request(Record(0, "f:1", fields={"name": "Zoë"}))
    assert request.path == "/messages"
    assert request.body.decode() == (
        '{"model":"claude-x","messages":[{"role":"user","content":"Hi Zoë"}],'
        '"temperature":0,"max_tokens":4096}'
    )
    assert request.output_tokens == 4096


def test_the_max_tokens_that_nobody_asked_for_are_said() -> None:
    assert "4096 is sent" in dialect(prompt="x").notes[0]
    for name in ("max_tokens", "max_completion_tokens"):
        asked = dialect(prompt="x", param={name: 7})
        assert (asked.notes, body(asked)["max_tokens"]) == ((), 7)
    thinking = {"thinking.type": "enabled", "thinking.budget_tokens": 10_000}
    assert body(dialect(prompt="x", param=thinking))["max_tokens"] == 14_096


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("https://api.anthropic.com", "/v1/messages"),
        ("https://api.anthropic.com/v1/", "/messages"),
        ("https://api.deepseek.com/anthropic", "/v1/messages"),
    ],
)
def test_the_path_is_what_the_base_url_lacks_of_it(base_url: str, path: str) -> None:
    assert dialect(prompt="x", base_url=base_url).path == path


def test_the_key_and_the_version_are_headers_of_their_own() -> None:
    headers = dialect(prompt="x").headers("sk-1")
    assert headers["x-api-key"] == "sk-1" and headers["anthropic-version"] == "2023-06-01"
    assert "Authorization" not in headers
    assert "x-api-key" not in dialect(prompt="x").headers(None)


def test_system_messages_stand_beside_the_conversation() -> None:
    assert body(dialect(prompt="x", system="Be {{ a }}"), a="kind") == {
        "model": "claude-x",
        "messages": [{"role": "user", "content": "x"}],
        "system": "Be kind",
        "max_tokens": 4096,
    }
    cached = {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}
    asked = sent(
        [
            {"role": "developer", "content": [cached]},
            {"role": "user", "content": "x"},
        ],
        system="a",
    )
    assert asked["system"] == [{"type": "text", "text": "a"}, cached]


def test_images_and_documents_have_sources() -> None:
    parts = [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://h/a.jpg"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "file", "file": {"file_data": "data:text/plain,a", "filename": "a.txt"}},
        {"type": "file", "file": {"file_id": "file_1"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_2"}},
    ]
    content = sent([{"role": "user", "content": parts}])["messages"][0]["content"]
    data = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    assert content == [
        {"type": "text", "text": "What?"},
        {"type": "image", "source": data},
        {"type": "image", "source": {"type": "url", "url": "https://h/a.jpg"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "a"},
            "title": "a.txt",
        },
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        parts[-1],
    ]
    with pytest.raises(UnrenderableRecord, match="no audio"):
        sent([{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}])


def test_tools_that_were_called_are_told_with_their_results_in_one_turn() -> None:
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]
    asked = sent(
        [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "Let me see.", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c1", "content": "1"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "2"}]},
            {"role": "user", "content": "y"},
        ]
    )["messages"]
    assert [one["role"] for one in asked] == ["user", "assistant", "user", "user"]
    assert asked[1]["content"] == [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
    ]
    assert [one["tool_use_id"] for one in asked[2]["content"]] == ["c1", "c2"]


OWN_TOOL = {"name": "f", "input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        (
            {"tools": [TOOL, OWN_TOOL, {"type": "web_search_20250305", "name": "web_search"}]},
            {
                "tools": [
                    {"name": "f", "description": "d", "input_schema": {"type": "object"}},
                    OWN_TOOL,
                    {"type": "web_search_20250305", "name": "web_search"},
                ]
            },
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            {"tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]},
        ),
        ({"tool_choice": "auto"}, {"tool_choice": {"type": "auto"}}),
        ({"tool_choice": "required"}, {"tool_choice": {"type": "any"}}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            {"tool_choice": {"type": "tool", "name": "f"}},
        ),
        ({"tool_choice": {"type": "any"}}, {"tool_choice": {"type": "any"}}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
                }
            },
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        ),
    ],
)
def test_parameters_are_given_in_openai_s_shape_or_in_anthropic_s(
    param: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = body(dialect(prompt="x", param=param))
    assert {name: found[name] for name in found.keys() - {"model", "messages", "max_tokens"}} == (
        expected
    )


def test_batch_lines_of_openai_are_not_for_it() -> None:
    with pytest.raises(UnrenderableRecord, match="no OpenAI batch lines"):
        dialect(prompt="x").request(Record(0, "f:1", batch=BatchLine("/v1/messages", b"{}")))


# --- answers ------------------------------------------------------------------------------------


def message(*content: dict[str, Any], **others: Any) -> bytes:
    value = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x-1",
        "content": list(content),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 200,
            "cache_read_input_tokens": 3000,
            "output_tokens": 50,
            "output_tokens_details": {"thinking_tokens": 20},
        },
        **others,
    }
    return json.dumps(value).encode()


SAID = {"type": "text", "text": "hello"}


def read(raw: bytes) -> Answer | Refusal:
    return dialect(prompt="x").answer("/messages", raw)


def test_all_input_is_counted_and_what_is_cached_is_a_part_of_it() -> None:
    found = read(message(SAID, {"type": "text", "text": "!", "citations": []}))
    assert found == Answer("hello!", "end_turn", "claude-x-1", 3210, 3000, 50, 20, 200)


def test_thoughts_and_calls_stand_beside_the_text() -> None:
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": "é"}}
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    found = read(message(thought, {"type": "redacted_thinking", "data": "x"}, SAID, call))
    assert isinstance(found, Answer)
    assert (found.output, found.reasoning) == ("hello", "hm")
    assert json.loads(found.tool_calls or "") == [call]
    called = read(message(call, stop_reason="tool_use"))
    assert isinstance(called, Answer)
    assert (called.output, called.finish_reason) == (called.tool_calls, "tool_use")


@pytest.mark.parametrize(
    ("reason", "truncated"),
    [
        ("max_tokens", True),
        ("model_context_window_exceeded", True),
        ("end_turn", False),
        ("refusal", False),
    ],
)
def test_an_answer_that_a_limit_cut_is_truncated(reason: str, truncated: bool) -> None:
    found = read(message(stop_reason=reason))
    assert isinstance(found, Answer)
    assert (found.finish_reason, found.truncated, found.output) == (reason, truncated, None)


def test_usage_that_is_odd_costs_no_answer() -> None:
    assert read(message(SAID, usage={"input_tokens": -1, "output_tokens": 5.0})) == Answer(
        "hello", "end_turn", "claude-x-1", output_tokens=5
    )


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b'{"content": []}', b'{"content": 5}', b'{"content": [5]}', b"<html>"]
)
def test_a_200_without_an_answer_is_a_bad_response(raw: bytes) -> None:
    with pytest.raises(BadResponse, match=r"^a 200 "):
        read(raw)


def test_an_answer_that_was_cut_anywhere_is_a_bad_response() -> None:
    raw = message(SAID)
    for end in range(len(raw)):
        with pytest.raises(BadResponse):
            read(raw[:end])


# --- errors -------------------------------------------------------------------------------------

CLASSIFIER = Classifier(RULES)


def error(type: str, **others: Any) -> bytes:
    said = {"type": type, "message": "no"} | others
    return json.dumps({"type": "error", "error": said, "request_id": "req_1"}).encode()


SPENT = {"details": {"error_code": "enforced_spend_limit_reached"}}
CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing"
QUOTED = f"messages.0: {CREDIT}"
CELLS = [
    (400, error("invalid_request_error"), "rejected", "invalid_request"),
    (400, error("invalid_request_error", message=CREDIT), "fatal", "quota"),
    (
        400,
        error("invalid_request_error", message=f"it says: {CREDIT}"),
        "rejected",
        "invalid_request",
    ),
    (401, error("authentication_error"), "fatal", "auth"),
    (402, error("billing_error"), "fatal", "quota"),
    (403, error("permission_error"), "fatal", "permission"),
    (404, error("not_found_error"), "rejected", "not_found"),
    (404, error("not_found_error", message="model: claude-x"), "fatal", "model"),
    (404, b"404 page not found", "fatal", "not_found"),
    (405, error("invalid_request_error"), "fatal", "not_found"),
    (409, error("conflict_error"), "retry", "conflict"),
    (413, error("request_too_large"), "rejected", "request_too_large"),
    (413, b"<html>", "rejected", "request_too_large"),
    (422, error("invalid_request_error"), "rejected", "invalid_request"),
    (429, error("rate_limit_error"), "throttled", "rate_limit"),
    (429, b"", "throttled", "rate_limit"),
    (429, error("rate_limit_error", **SPENT), "fatal", "quota"),
    (500, error("api_error"), "retry", "server_error"),
    (500, error("overloaded_error"), "throttled", "overloaded"),
    (502, b"<html>", "retry", "server_error"),
    (503, b"<html>", "retry", "server_error"),
    (504, error("timeout_error"), "retry", "server_timeout"),
    (529, error("overloaded_error"), "throttled", "overloaded"),
    (529, b"", "throttled", "overloaded"),
]


@pytest.mark.parametrize(("status", "raw", "kind", "error_class"), CELLS)
def test_every_error_has_its_verdict(status: int, raw: bytes, kind: str, error_class: str) -> None:
    refusal = read_refusal(status, {}, raw)
    verdict = CLASSIFIER.classify(status, refusal.code, refusal.type)
    assert (verdict.kind, verdict.error_class) == (kind, error_class)


@pytest.mark.parametrize(
    ("type", "kind"),
    [
        ("overloaded_error", "throttled"),
        ("invalid_request_error", "rejected"),
        ("api_error", "retry"),
        ("what_is_this", "retry"),
        ("authentication_error", "fatal"),
    ],
)
def test_an_error_inside_a_200_is_judged_as_that_error(type: str, kind: str) -> None:
    found = read(error(type))
    assert isinstance(found, Refusal)
    assert CLASSIFIER.classify(ERROR_IN_200, found.code, found.type).kind == kind


def test_the_provider_s_name_for_a_request_is_kept() -> None:
    assert dialect(prompt="x").request_id({"request-id": "req_1"}) == "req_1"
    assert dialect(prompt="x").request_id({}) is None
