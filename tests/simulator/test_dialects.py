"""Anthropic's and Gemini's APIs, and Azure's paths, without a socket."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from penstock.simulator.embeddings import embed, unpack_vector
from penstock.simulator.provider import Provider
from penstock.simulator.settings import Settings
from penstock.simulator.wire import Request

GENERATE = "/v1beta/models/gemini-x:generateContent"
VERSION = {"anthropic-version": "2023-06-01"}


def ask(
    path: str, payload: Any, headers: dict[str, str] | None = None, query: str = "", **settings: Any
) -> tuple[int, Any]:
    """The status and the body of an answer."""
    provider = Provider(Settings(output_tokens_spread=0.0, **settings), 0.0)
    request = Request("POST", path, headers or {}, json.dumps(payload).encode(), True, query)
    exchange = provider.respond(request, 0)
    data = b"".join(data for _, data in exchange.script.pieces)
    provider.ended(exchange, began=True, finished=True)
    return exchange.script.status, json.loads(data.partition(b"\r\n\r\n")[2])


def message(text: Any, **fields: Any) -> dict[str, Any]:
    return {
        "model": "claude-x",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": text}],
        **fields,
    }


def contents(*parts: Any, **fields: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": list(parts)}], **fields}


def test_a_message_is_answered_with_its_text_and_input_without_what_is_cached() -> None:
    status, body = ask("/v1/messages", message("x" * 40), VERSION, cached_share=0.5)
    assert status == 200
    assert body["content"][0]["text"].startswith("echo: " + "x" * 40)
    assert (body["stop_reason"], body["model"]) == ("end_turn", "claude-x")
    assert (body["usage"]["input_tokens"], body["usage"]["cache_read_input_tokens"]) == (5, 5)


def test_a_message_s_blocks_and_results_of_tools_are_its_text() -> None:
    blocks = [
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "a"}]},
        {"type": "image", "source": {}},
        {"type": "text", "text": "b"},
    ]
    _, body = ask("/v1/messages", message(blocks, system="s"), VERSION)
    assert body["content"][0]["text"].startswith("echo: ab")


@pytest.mark.parametrize(
    ("headers", "payload"),
    [
        ({}, message("x")),
        (VERSION, {"model": "m", "messages": [{"role": "user", "content": "x"}]}),
        (VERSION, message("x", messages=[{"role": "system", "content": "x"}])),
        (VERSION, message("x", messages=[])),
        (VERSION, message("x", stream=True)),
    ],
)
def test_what_anthropic_would_not_take_is_refused(headers: Any, payload: Any) -> None:
    status, body = ask("/v1/messages", payload, headers)
    assert (status, body["error"]["type"]) == (400, "invalid_request_error")


def test_a_message_that_the_limit_cuts_says_so() -> None:
    _, body = ask("/v1/messages", message("x", max_tokens=3), VERSION)
    assert (body["stop_reason"], body["usage"]["output_tokens"]) == ("max_tokens", 3)
    _, cut = ask(GENERATE, contents({"text": "x"}, generationConfig={"maxOutputTokens": 3}))
    assert cut["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_contents_are_answered_with_a_candidate_and_counts_that_are_not_zero() -> None:
    status, body = ask(GENERATE, contents({"text": "a"}, {"inlineData": {}}, {"text": "b"}))
    assert status == 200
    assert body["candidates"][0]["content"]["parts"][0]["text"].startswith("echo: ab")
    assert body["modelVersion"] == "gemini-x"
    assert "cachedContentTokenCount" not in body["usageMetadata"]
    _, thought = ask(GENERATE, contents({"text": "a"}), reasoning_share=0.5)
    used = thought["usageMetadata"]
    assert used["thoughtsTokenCount"] == used["candidatesTokenCount"] == 16


def test_who_asks_for_json_gets_json() -> None:
    config = {"responseMimeType": "application/json"}
    _, body = ask(GENERATE, contents({"text": "a"}, generationConfig=config))
    assert json.loads(body["candidates"][0]["content"]["parts"][0]["text"]) == {"echo": "a"}
    wanted = {"format": {"type": "json_object"}}
    _, said = ask("/v1/messages", message("a", output_config=wanted), VERSION)
    assert json.loads(said["content"][0]["text"]) == {"echo": "a"}


def test_gemini_s_embeddings_prove_their_texts() -> None:
    one = {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 8}
    _, body = ask("/v1beta/models/e:embedContent", one)
    assert tuple(body["embedding"]["values"]) == embed("a", 8)
    other = {"content": {"parts": [{"text": "b"}]}}
    _, batch = ask("/v1beta/models/e:batchEmbedContents", {"requests": [one, other]})
    assert [tuple(each["values"]) for each in batch["embeddings"]] == [embed("a", 8), embed("b", 8)]


def test_azure_answers_below_both_of_its_paths() -> None:
    chat = {"model": "other", "messages": [{"role": "user", "content": "a"}]}
    _, body = ask("/openai/v1/chat/completions", chat)
    assert body["model"] == "other"
    path, version = "/openai/deployments/d/", "api-version=2024-10-21"
    _, body = ask(path + "chat/completions", chat, query=version)
    assert body["model"] == "d"
    asked = {"model": "d", "input": "a", "encoding_format": "base64"}
    _, body = ask(path + "embeddings", asked, query=version)
    vector = unpack_vector(base64.b64decode(body["data"][0]["embedding"]))
    assert vector == embed("a", 64)


@pytest.mark.parametrize("fault", ["error_500", "error_in_200"])
def test_a_failure_is_in_the_words_of_who_fails(fault: str) -> None:
    status, body = ask("/v1/messages", message("x"), VERSION, **{fault: 1.0})
    assert (status, body["error"]["type"]) == (500 if fault == "error_500" else 200, "api_error")
    _, body = ask(GENERATE, contents({"text": "x"}), **{fault: 1.0})
    assert body["error"]["status"] == "INTERNAL"


def test_a_model_in_the_path_is_judged_as_one_in_the_body() -> None:
    path = "/v1beta/models/does-not-exist:generateContent"
    status, body = ask(path, contents({"text": "x"}))
    assert (status, body["error"]["status"]) == (404, "NOT_FOUND")
