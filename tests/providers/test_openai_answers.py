from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.providers.openai_answers import shape_for
from penstock.providers.provider import Answer, BadResponse, Refusal

CHAT = "/chat/completions"
TEXT = "/completions"
RESPONSES = "/v1/responses"
EMBEDDINGS = "/v1/embeddings"


def chat(message: Any = None, finish_reason: Any = "stop", **others: Any) -> dict[str, Any]:
    """A whole chat completion, as OpenAI sends it."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", **(message or {"content": "hello"})},
                "logprobs": None,
                "finish_reason": finish_reason,
            }
        ],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 5,
            "total_tokens": 14,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
        **others,
    }


def read(path: str, value: Any) -> Answer | Refusal:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return shape_for(path).answer(raw)


def answer(path: str, value: Any) -> Answer:
    found = read(path, value)
    assert isinstance(found, Answer)
    return found


def refusal(path: str, value: Any) -> Refusal:
    found = read(path, value)
    assert isinstance(found, Refusal)
    return found


def test_a_chat_completion_is_read_with_its_usage() -> None:
    assert read(CHAT, chat()) == Answer("hello", "stop", "m-1", 9, 4, 5, 2)


@pytest.mark.parametrize(
    ("message", "output"),
    [
        ({"content": ""}, ""),
        ({"content": None}, None),
        ({}, "hello"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": [{"type": "thinking", "thinking": []}, {"text": "b"}]}, "b"),
        ({"content": "x", "tool_calls": []}, "x"),
        ({"content": "x", "tool_calls": None, "function_call": None}, "x"),
        ({"content": "x", "tool_calls": [{"id": "é"}]}, "x"),
        ({"content": "", "tool_calls": [{"id": "é"}]}, '[{"id": "\\u00e9"}]'),
        ({"content": None, "tool_calls": [{"id": 1}, {"id": 2}]}, '[{"id": 1},{"id": 2}]'),
        ({"content": None, "function_call": {"name": "é"}}, '{"name": "é"}'),
        ({"content": None, "reasoning_content": "long thought"}, None),
        ({"content": "x", "reasoning_content": 5, "reasoning": {"odd": []}}, "x"),
    ],
)
def test_the_output_of_a_chat_is_what_was_asked_for(
    message: dict[str, Any], output: str | None
) -> None:
    assert answer(CHAT, chat(message)).output == output


def test_tool_calls_stand_beside_the_text_as_they_came() -> None:
    found = answer(CHAT, chat({"content": "x", "tool_calls": [{"id": "é"}]}))
    assert found.tool_calls == '[{"id": "\\u00e9"}]'
    assert answer(CHAT, chat({"function_call": {"name": "f"}})).tool_calls == '{"name": "f"}'
    assert answer(CHAT, chat()).tool_calls is None


@pytest.mark.parametrize(
    "message",
    [
        {"content": "x", "reasoning_content": "hm"},
        {"content": "x", "reasoning": "hm"},
        {"content": [{"type": "thinking", "thinking": "hm"}, {"text": "x"}]},
        {"content": [{"type": "thinking", "thinking": [{"text": "hm"}, 5]}, {"text": "x"}]},
    ],
)
def test_what_a_model_thought_stands_beside_the_answer(message: dict[str, Any]) -> None:
    found = answer(CHAT, chat(message))
    assert (found.output, found.reasoning) == ("x", "hm")
    assert answer(CHAT, chat()).reasoning is None


def test_of_several_choices_calls_and_thoughts_are_json_lists() -> None:
    body = chat({"content": "x", "tool_calls": [{"id": 1}], "reasoning": "hm"})
    body["choices"] += chat(finish_reason="length")["choices"]
    found = answer(CHAT, body)
    assert (found.output, found.truncated) == ('["x","hello"]', True)
    assert (found.tool_calls, found.reasoning) == ('["[{\\"id\\": 1}]",null]', '["hm",null]')


@pytest.mark.parametrize("content", ["half a", "", None])
def test_an_answer_that_a_token_limit_cut_is_truncated(content: str | None) -> None:
    assert answer(CHAT, chat({"content": content}, "length")).truncated
    assert not answer(CHAT, chat({"content": content})).truncated


def test_tokens_written_to_a_cache_are_counted_where_a_gateway_says() -> None:
    usage = {"prompt_tokens": 9, "prompt_tokens_details": {"cache_write_tokens": 7}}
    assert answer(CHAT, chat(usage=usage)).cache_write_tokens == 7


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter", "tool_calls"])
def test_the_finish_reason_is_kept_and_nothing_for_a_reason_is_an_answer(reason: str) -> None:
    found = answer(CHAT, chat({"content": None}, reason))
    assert (found.output, found.finish_reason) == (None, reason)


def test_a_model_that_refuses_says_so_in_output_and_finish_reason() -> None:
    found = answer(CHAT, chat({"content": None, "refusal": "I can't."}))
    assert (found.output, found.finish_reason) == ("I can't.", "refusal")


def test_several_choices_are_a_json_list() -> None:
    body = chat()
    body["choices"] *= 3
    assert answer(CHAT, body).output == '["hello","hello","hello"]'


@pytest.mark.parametrize("usage", [None, {}, "none", {"prompt_tokens": "9"}, {"prompt_tokens": -1}])
def test_usage_that_is_missing_or_odd_costs_no_answer(usage: Any) -> None:
    assert read(CHAT, chat(usage=usage)) == Answer("hello", "stop", "m-1")


def test_without_the_field_for_usage_an_answer_is_whole() -> None:
    body = chat()
    del body["usage"], body["model"]
    assert read(CHAT, body) == Answer("hello", "stop")


def test_deepseek_s_cache_hits_are_cached_input() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 7}
    assert answer(CHAT, chat(usage=usage)).cached_input_tokens == 7


@pytest.mark.parametrize(
    ("raw", "output"),
    [
        (json.dumps(chat({"content": "cut \ud83d"})).encode(), "cut \ufffd"),
        (json.dumps(chat(score=float("nan"))).encode(), "hello"),
        (json.dumps(chat()).replace("hello", "a\x01b").encode(), "a\x01b"),
        (json.dumps(chat()).encode().replace(b"hello", b"a\xff"), "a\ufffd"),
        (b"\xef\xbb\xbf" + json.dumps(chat()).encode(), "hello"),
        (b"\n  " + json.dumps(chat()).encode() + b"\r\n", "hello"),
        (json.dumps(chat(model=7, finish_reason={"a": 1})).encode(), "hello"),
    ],
)
def test_a_complete_answer_in_odd_json_is_not_asked_again(raw: bytes, output: str) -> None:
    found = answer(CHAT, raw)
    assert found.output == output
    assert found.output_tokens == 5


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" \r\n ",
        b"null",
        b"[]",
        b"{}",
        b"7",
        b"<html>",
        b"data: {}\n\ndata: [DONE]\n\n",
        b"[" * 100_000,
        b'{"choices":' + b"[" * 100_000,
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"message": None}]},
        {"choices": [{"message": "hello"}]},
        {"choices": [{"message": {"content": 5}}]},
        {"choices": [{"message": {}, "finish_reason": None}]},
        {"choices": None},
        {"error": True},
        {"error": []},
        {"text": "hello"},
    ],
)
@pytest.mark.parametrize("path", [CHAT, TEXT, RESPONSES, EMBEDDINGS])
def test_a_200_that_is_empty_or_not_what_was_promised_is_a_bad_response(
    path: str, value: Any
) -> None:
    with pytest.raises(BadResponse, match=r"^a 200 ") as caught:
        read(path, value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("nothing", [None, {}, "", False, []])
def test_an_error_field_with_nothing_in_it_is_no_error(nothing: Any) -> None:
    assert answer(CHAT, chat(error=nothing)).output == "hello"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"error": {"message": "m", "code": "server_error"}}, "server_error"),
        ([{"error": {"message": "m", "code": 429}}], "429"),
        ({"object": "error", "message": "m", "code": 400}, "400"),
        ({"error": "m"}, None),
        (chat(error={"message": "m", "code": 502}), "502"),
        (chat(usage="odd", error={"message": "m", "code": 502}), "502"),
    ],
)
@pytest.mark.parametrize("path", [CHAT, TEXT, RESPONSES, EMBEDDINGS])
def test_an_error_object_inside_a_200_is_a_refusal(path: str, value: Any, code: str | None) -> None:
    assert refusal(path, value) == Refusal(code, None, "m")


@pytest.mark.parametrize("path", [CHAT, TEXT])
def test_a_choice_that_failed_half_way_is_a_refusal(path: str) -> None:
    body = chat()
    body["choices"][0] |= {"error": {"message": "m", "code": 502}, "finish_reason": "error"}
    assert refusal(path, body).code == "502"


def test_the_wait_in_an_error_inside_a_200_is_read() -> None:
    assert refusal(CHAT, {"error": {"message": "try again in 2s"}}).wait_seconds == 2.0


def test_a_text_completion_is_read() -> None:
    body = chat(choices=[{"text": "a", "finish_reason": "length"}])
    assert read(TEXT, body) == Answer("a", "length", "m-1", 9, 4, 5, 2, truncated=True)
    body["choices"] *= 2
    assert answer(TEXT, body).output == '["a","a"]'


def response(*output: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {
        "object": "response",
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "m-1",
        "output": list(output),
        "usage": {
            "input_tokens": 9,
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 2},
        },
        **others,
    }


def said(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": list(parts)}


THOUGHT = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]}
SEARCH = {"type": "web_search_call", "action": {"query": "x"}, "content": 5}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


def test_a_response_is_the_text_of_its_messages() -> None:
    body = response(THOUGHT, SEARCH, said({"text": "a"}, {"text": "b"}), said({"text": "c"}))
    assert read(RESPONSES, body) == Answer("abc", "completed", "m-1", 9, 4, 5, 2, reasoning="hm")


def test_a_response_s_reasoning_is_its_text_or_its_summary() -> None:
    summary = {"type": "reasoning", "summary": [{"text": "in short"}, {"text": "so"}]}
    assert answer(RESPONSES, response(summary, said({"text": "a"}))).reasoning == "in short\nso"
    assert answer(RESPONSES, response(summary, THOUGHT, said({"text": "a"}))).reasoning == "hm"


def test_a_response_s_function_calls_are_its_output_where_it_says_nothing() -> None:
    assert json.loads(answer(RESPONSES, response(CALL)).output or "") == [CALL]
    both = answer(RESPONSES, response(said({"text": "a"}), CALL))
    assert (both.output, json.loads(both.tool_calls or "")) == ("a", [CALL])


def test_a_response_that_ended_early_says_why() -> None:
    cut = response(THOUGHT, status="incomplete", incomplete_details={"reason": "content_filter"})
    assert read(RESPONSES, cut) == Answer(None, "content_filter", "m-1", 9, 4, 5, 2, reasoning="hm")
    short = response(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert answer(RESPONSES, short).truncated
    no = response(said({"type": "refusal", "refusal": "I can't."}))
    assert answer(RESPONSES, no).finish_reason == "refusal"
    assert answer(RESPONSES, no).output == "I can't."


def test_a_response_that_failed_is_a_refusal() -> None:
    failed = response(status="failed", error={"code": "rate_limit_exceeded", "message": "m"})
    assert refusal(RESPONSES, failed) == Refusal("rate_limit_exceeded", None, "m")
    with pytest.raises(BadResponse):
        read(RESPONSES, response(status="failed"))


def test_an_embedding_is_the_vector_as_it_came() -> None:
    raw = (
        b'{"data":[{"index":0,"embedding":[0.10, -2e-5]}],"model":"e","usage":{"prompt_tokens":3}}'
    )
    assert read(EMBEDDINGS, raw) == Answer("[0.10, -2e-5]", None, "e", 3)
    coded = {"data": [{"embedding": "AAAA"}]}
    assert answer(EMBEDDINGS, coded).output == '"AAAA"'


def test_several_embeddings_are_a_list_in_the_order_of_their_index() -> None:
    body = {"data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1]}]}
    assert answer(EMBEDDINGS, body).output == "[[1],[2]]"


def test_an_embedding_without_a_vector_is_a_bad_response() -> None:
    with pytest.raises(BadResponse):
        read(EMBEDDINGS, {"data": [{"index": 0, "embedding": None}]})


WHOLE = {
    CHAT: [chat(), chat({"content": None, "tool_calls": [{"id": "1"}]}), chat(error=None)],
    TEXT: [chat(choices=[{"text": "a", "finish_reason": "stop"}])],
    RESPONSES: [response(said({"text": "a"}))],
    EMBEDDINGS: [{"data": [{"index": 0, "embedding": [1, 2.5]}]}],
}


@pytest.mark.parametrize("path", WHOLE)
def test_an_answer_that_was_cut_anywhere_is_a_bad_response(path: str) -> None:
    for value in WHOLE[path]:
        for raw in (json.dumps(value).encode(), json.dumps(value, indent=1).encode()):
            assert isinstance(read(path, raw), Answer)
            for end in range(len(raw)):
                with pytest.raises(BadResponse):
                    read(path, raw[:end])


@given(st.text(), st.data())
def test_no_prefix_of_a_chat_answer_is_an_answer_whatever_it_says(
    text: str, data: st.DataObject
) -> None:
    raw = json.dumps(chat({"content": text}), ensure_ascii=False).encode("utf-8", "replace")
    end = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(BadResponse):
        read(CHAT, raw[:end])


PATHS = st.sampled_from([CHAT, TEXT, RESPONSES, EMBEDDINGS])
KEYS = st.sampled_from(
    [
        *("choices", "message", "content", "error", "finish_reason", "text", "usage", "model"),
        *("data", "embedding", "index", "output", "status", "type", "code", "refusal"),
        *("prompt_tokens", "prompt_tokens_details", "tool_calls"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(PATHS, JSON.map(lambda value: json.dumps(value).encode()) | st.binary())
def test_whatever_a_200_holds_is_an_answer_a_refusal_or_a_bad_response(
    path: str, raw: bytes
) -> None:
    try:
        found = read(path, raw)
    except BadResponse:
        return
    if isinstance(found, Answer):
        (found.output or "").encode()
        (found.finish_reason or "").encode()
        for count in (found.input_tokens, found.output_tokens, found.cached_input_tokens):
            assert count is None or 0 <= count <= 2**53


@given(st.data())
def test_a_chat_answer_with_any_byte_flipped_breaks_nothing(data: st.DataObject) -> None:
    raw = bytearray(json.dumps(chat()).encode())
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=5)):
        raw[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadResponse):
        read(CHAT, bytes(raw))


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, (None, None)),
        ({"prompt_tokens": 0, "completion_tokens": 5}, (None, 5)),
        ({"completion_tokens": 5}, (None, 5)),
        ({"prompt_tokens": 5, "completion_tokens": 0}, (5, 0)),
    ],
)
def test_a_server_that_says_0_for_a_whole_request_does_not_count(
    usage: dict[str, int], tokens: tuple[int | None, int | None]
) -> None:
    """LitServe's, and mock servers: at 0 tokens a row no budget would ever have been spent."""
    found = answer(CHAT, chat(usage=usage))
    assert (found.input_tokens, found.output_tokens) == tokens
