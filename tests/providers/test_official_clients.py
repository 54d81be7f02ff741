"""Requests and answers, held against the types of the providers' own clients.

The clients are loaded by the first test that needs them, and all those are on one process: they
take seconds to load.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast, get_type_hints

import pytest

from penstock.job import Job
from penstock.providers.embedder import EmbeddingProvider, Embeddings
from penstock.providers.provider import Answer, Provider, provider_for
from penstock.record import Record
from penstock.vector import numbers_of, packed, text_of

pytestmark = pytest.mark.xdist_group("official clients")

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
MESSAGES = [
    {"role": "system", "content": "Be kind."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": PNG}},
            {"type": "image_url", "image_url": {"url": "https://h.example/a.png"}},
            {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
        ],
    },
    {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "a dog"},
    {"role": "user", "content": "And?"},
]
PARAMETERS = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
PARAMS = {
    "tools": [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": PARAMETERS},
        }
    ],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": PARAMETERS, "strict": True},
    },
    "max_tokens": 100,
    "stop": ["END"],
}


def dialect(provider: str, **options: Any) -> Provider:
    from penstock.addresses import BASE_URLS

    url = BASE_URLS.get(provider, "https://name.openai.azure.com")
    return provider_for(Job(provider=provider, model="m", **{"base_url": url, **options}))  # type: ignore[arg-type]


def body(asked: Provider, **fields: Any) -> Any:
    return json.loads(asked.request(Record(0, "f:1", fields=fields)).body)


def bodies(provider: str, params: Mapping[str, Any] = PARAMS) -> list[Any]:
    """What a plain prompt becomes, and what all that a conversation may hold does."""
    return [
        body(dialect(provider, prompt="Hi {{ a }}"), a="x"),
        body(dialect(provider, messages="m", param=params), m=MESSAGES),
    ]


def conforms(value: Any, params_type: Any) -> None:
    """Raises unless `value` is of a TypedDict, and has no key that this does not have."""
    from pydantic import TypeAdapter

    TypeAdapter(params_type).validate_python(value, strict=False)
    assert value.keys() <= get_type_hints(params_type).keys()


def read(asked: Provider, response: Any) -> Answer:
    """What we make of a response that was made by the official model."""
    found = asked.answer(asked.path, response.model_dump_json().encode())  # type: ignore[attr-defined]
    assert isinstance(found, Answer)
    return found


def test_anthropic_s_client_would_send_the_same() -> None:
    from anthropic.types.message_create_params import MessageCreateParamsNonStreaming

    for one in bodies("anthropic"):
        conforms(one, MessageCreateParamsNonStreaming)


def test_what_anthropic_s_client_reads_is_read() -> None:
    from anthropic.types import Message, TextBlock, ThinkingBlock, ToolUseBlock, Usage

    response = Message(
        id="msg_1",
        type="message",
        role="assistant",
        model="claude-x",
        content=[
            ThinkingBlock(type="thinking", thinking="hm", signature="s"),
            TextBlock(type="text", text="hello"),
            ToolUseBlock(type="tool_use", id="t1", name="f", input={"a": 1}),
        ],
        stop_reason="tool_use",
        usage=Usage(
            input_tokens=5,
            cache_read_input_tokens=7,
            cache_creation_input_tokens=11,
            output_tokens=13,
        ),
    )
    found = read(dialect("anthropic", prompt="x"), response)
    assert (found.output, found.reasoning, found.finish_reason) == ("hello", "hm", "tool_use")
    assert (found.input_tokens, found.cached_input_tokens) == (23, 7)
    assert (found.cache_write_tokens, found.output_tokens) == (11, 13)
    assert ToolUseBlock.model_validate(json.loads(found.tool_calls or "")[0]).input == {"a": 1}


def test_openai_s_client_would_send_the_same() -> None:
    from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

    for one in bodies("openai"):
        conforms(one, CompletionCreateParamsNonStreaming)


def test_what_openai_s_client_reads_is_read() -> None:
    from openai.types import CompletionUsage
    from openai.types.chat import ChatCompletion

    usage = CompletionUsage(prompt_tokens=9, completion_tokens=5, total_tokens=14)
    message = {"role": "assistant", "content": "hello", "tool_calls": [CALL]}
    choice = {"index": 0, "message": message, "finish_reason": "length", "logprobs": None}
    response = ChatCompletion.model_validate(
        {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage.model_dump(),
        }
    )
    found = read(dialect("openai", prompt="x"), response)
    assert (found.output, found.truncated, found.input_tokens) == ("hello", True, 9)
    assert json.loads(found.tool_calls or "")[0]["function"] == CALL["function"]


def test_openai_s_client_would_send_the_same_responses() -> None:
    from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming

    params = {name: value for name, value in PARAMS.items() if name != "stop"}
    for one in bodies("openai-responses", params):
        conforms(one, ResponseCreateParamsNonStreaming)


def test_what_openai_s_client_reads_of_a_response_is_read() -> None:
    from openai.types.responses import Response

    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "hello", "annotations": []}],
    }
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'}
    thought = {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "hm"}],
    }
    response = Response.model_validate(
        {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "model": "m",
            "output": [thought, message, call],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": {
                "input_tokens": 9,
                "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
                "output_tokens": 5,
                "output_tokens_details": {"reasoning_tokens": 2},
                "total_tokens": 14,
            },
        }
    )
    found = read(dialect("openai-responses", prompt="x"), response)
    assert (found.output, found.reasoning, found.truncated) == ("hello", "hm", True)
    assert (found.input_tokens, found.cached_input_tokens, found.reasoning_tokens) == (9, 4, 2)


def test_google_s_client_would_send_the_same() -> None:
    from google.genai import types

    for one in bodies("gemini"):
        for content in [*one["contents"], *filter(None, [one.get("systemInstruction")])]:
            types.Content.model_validate(content)
        types.GenerationConfig.model_validate(one.get("generationConfig") or {})
        for tool in one.get("tools") or ():
            types.Tool.model_validate(tool)
        types.ToolConfig.model_validate(one.get("toolConfig") or {})


def test_what_google_s_client_reads_is_read() -> None:
    from google.genai import types

    response = types.GenerateContentResponse(
        candidates=[
            types.Candidate(
                content=types.Content(
                    role="model",
                    parts=[
                        types.Part(text="hm", thought=True),
                        types.Part(text="hello"),
                        types.Part(function_call=types.FunctionCall(name="f", args={"a": 1})),
                    ],
                ),
                finish_reason=types.FinishReason.MAX_TOKENS,
            )
        ],
        model_version="gemini-x",
        usage_metadata=types.GenerateContentResponseUsageMetadata(
            prompt_token_count=9,
            cached_content_token_count=4,
            candidates_token_count=5,
            thoughts_token_count=2,
        ),
    )
    asked = dialect("gemini", prompt="x")
    raw = response.model_dump_json(by_alias=True, exclude_none=True).encode()
    found = asked.answer("", raw)
    assert isinstance(found, Answer)
    assert (found.output, found.reasoning, found.truncated) == ("hello", "hm", True)
    assert (found.input_tokens, found.cached_input_tokens) == (9, 4)
    assert (found.output_tokens, found.reasoning_tokens) == (7, 2)
    assert types.FunctionCall.model_validate(json.loads(found.tool_calls or "")[0]).name == "f"


SCHEMA = {**PARAMETERS, "additionalProperties": False}


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        ("openai", ("response_format", "json_schema", "schema")),
        ("azure", ("response_format", "json_schema", "schema")),
        ("openai-responses", ("text", "format", "schema")),
        ("anthropic", ("output_config", "format", "schema")),
        ("gemini", ("generationConfig", "responseJsonSchema")),
    ],
)
def test_a_schema_is_asked_for_in_each_provider_s_own_way(
    provider: str, path: tuple[str, ...]
) -> None:
    found = body(dialect(provider, prompt="x", schema=PARAMETERS))
    for name in path:
        found = found[name]
    assert found == SCHEMA


@pytest.mark.parametrize("provider", ["openai", "openai-responses", "anthropic", "gemini"])
def test_what_is_wrong_with_an_answer_follows_the_conversation(provider: str) -> None:
    more = [{"role": "assistant", "content": "5"}, {"role": "user", "content": "no"}]
    asked = dialect(provider, prompt="x")
    again = asked.request(Record(0, "f:1", fields={}), more)
    first = asked.request(Record(0, "f:1", fields={}))
    assert again.request_hash != first.request_hash
    found = json.loads(again.body)
    turns = found.get("messages") or found.get("input") or found["contents"]
    assert [one["role"] for one in turns] in (
        ["user", "assistant", "user"],
        ["user", "model", "user"],
    )


TEXTS = ("a", "b")


@pytest.mark.parametrize("provider", ["openai", "azure"])
def test_openai_s_client_would_ask_for_the_same_vectors(provider: str) -> None:
    from openai.types import EmbeddingCreateParams

    for options in ({}, {"dimensions": 8, "param": {"user": "u"}}):
        asked = dialect(provider, task="embed", prompt="{{ t }}", **options)
        requests = [asked.request(Record(0, "f:1", fields={"t": text})) for text in TEXTS]
        joined = cast(EmbeddingProvider, asked).joined(requests)
        conforms(json.loads(joined.body), EmbeddingCreateParams)


@pytest.mark.parametrize("is_base64", [False, True])
def test_vectors_that_openai_s_client_reads_are_read(is_base64: bool) -> None:
    from openai.types import CreateEmbeddingResponse, Embedding
    from openai.types.create_embedding_response import Usage

    response = CreateEmbeddingResponse(
        object="list",
        model="m",
        data=[
            Embedding(index=place, object="embedding", embedding=[place, 0.5]) for place in (1, 0)
        ],
        usage=Usage(prompt_tokens=9, total_tokens=9),
    )
    said = response.model_dump()
    if is_base64:  # what the client asks for, and unpacks before it makes its types
        for one in said["data"]:
            one["embedding"] = text_of(packed(one["embedding"]))
    asked = cast(EmbeddingProvider, dialect("openai", task="embed", prompt="x"))
    found = asked.embeddings(json.dumps(said).encode(), 2)
    assert isinstance(found, Embeddings) and found.input_tokens == 9
    assert list(map(numbers_of, found.vectors)) == [[0.0, 0.5], [1.0, 0.5]]


def test_google_s_client_would_ask_for_the_same_vectors() -> None:
    from google.genai import types

    asked = dialect("gemini", task="embed", prompt="{{ t }}", dimensions=8)
    requests = [asked.request(Record(0, "f:1", fields={"t": text})) for text in TEXTS]
    joined = cast(EmbeddingProvider, asked).joined(requests)
    for text, one in zip(TEXTS, json.loads(joined.body)["requests"], strict=True):
        content = types.Content.model_validate(one.pop("content"))
        assert [part.text for part in content.parts or ()] == [text]
        assert one.pop("model") == "models/m"
        config = types.EmbedContentConfig.model_validate(one)
        assert config.output_dimensionality == 8


def test_vectors_that_google_s_client_reads_are_read() -> None:
    from google.genai import types

    response = types.EmbedContentResponse(
        embeddings=[types.ContentEmbedding(values=[n, 0.5]) for n in (1, 2)]
    )
    said = response.model_dump_json(by_alias=True, exclude_none=True).encode()
    asked = cast(EmbeddingProvider, dialect("gemini", task="embed", prompt="x"))
    found = asked.embeddings(said, 2)
    assert isinstance(found, Embeddings)
    assert list(map(numbers_of, found.vectors)) == [[1.0, 0.5], [2.0, 0.5]]
