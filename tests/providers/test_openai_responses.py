"""OpenAI's responses API: what of a chat is an item of its input."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.job import Job
from penstock.providers.openai_responses import Responses
from penstock.providers.provider import Answer
from penstock.record import Record

PDF = "data:application/pdf;base64,JVBE"


def dialect(**options: Any) -> Responses:
    return Responses(Job(**{"model": "m", **options}))


def body(asked: Responses, **fields: Any) -> Any:
    return json.loads(asked.request(Record(0, "f:1", fields=fields)).body)


def sent(*messages: dict[str, Any]) -> Any:
    return body(dialect(messages="m"), m=list(messages))["input"]


def test_a_prompt_is_an_item_of_the_input() -> None:
    request = dialect(prompt="Hi {{ a }}", system="s").request(Record(0, "f", fields={"a": "Zoë"}))
    assert request.path == "/responses"
    assert request.body.decode() == (
        '{"model":"m","input":[{"role":"system","content":"s"},{"role":"user","content":"Hi Zoë"}]}'
    )


def test_parts_have_names_of_their_own() -> None:
    parts = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "https://h/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_url": "https://h/a.pdf"}},
        {"type": "input_text", "text": "own"},
    ]
    data = "data:image/png;base64,AAAA"
    assert sent({"role": "user", "content": parts})[0]["content"] == [
        {"type": "input_text", "text": "a"},
        {"type": "input_image", "image_url": "https://h/a.png", "detail": "low"},
        {"type": "input_image", "image_url": data, "detail": "auto"},
        {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_file", "file_url": "https://h/a.pdf"},
        parts[-1],
    ]


def test_calls_and_results_are_items_of_their_own() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    text = [{"type": "text", "text": "I "}, {"type": "text", "text": "see"}]
    found = sent(
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
        {"role": "assistant", "content": text, "tool_calls": [call]},
        {"type": "item_reference", "id": "rs_1"},
    )
    assert found == [
        {"role": "user", "content": "x"},
        said,
        {"type": "function_call_output", "call_id": "c", "output": "1"},
        {"role": "assistant", "content": "I see"},
        said,
        {"type": "item_reference", "id": "rs_1"},
    ]


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        ({"max_tokens": 9}, {"max_output_tokens": 9}),
        ({"max_output_tokens": 9}, {"max_output_tokens": 9}),
        ({"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]},
            {"tools": [{"type": "function", "name": "f", "strict": True}]},
        ),
        ({"tools": [{"type": "web_search"}]}, {"tools": [{"type": "web_search"}]}),
        ({"tool_choice": "auto"}, {"tool_choice": "auto"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            {"tool_choice": {"type": "function", "name": "f"}},
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {}, "strict": True},
                }
            },
            {
                "text": {
                    "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}
                }
            },
        ),
        (
            {"response_format": {"type": "json_object"}, "text.verbosity": "low"},
            {"text": {"format": {"type": "json_object"}, "verbosity": "low"}},
        ),
    ],
)
def test_parameters_are_given_in_the_chat_s_shape_or_in_this_api_s(
    param: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = body(dialect(prompt="x", param=param))
    assert {name: found[name] for name in found.keys() - {"model", "input"}} == expected


def test_the_most_that_is_asked_for_is_known() -> None:
    assert dialect(prompt="x", param={"max_tokens": 9}).output_tokens == 9


def test_its_answers_are_read_by_its_path() -> None:
    item = {"type": "message", "content": [{"type": "output_text", "text": "a"}]}
    raw = json.dumps({"status": "completed", "output": [item]}).encode()
    asked = dialect(prompt="x")
    assert asked.answer(asked.path, raw) == Answer("a", "completed")
