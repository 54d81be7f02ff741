"""The bodies of OpenAI's endpoints, as far as they are read: typed, with all else skipped.

What is decoded has no cycles, so that Python's collector need not see it (`gc=False`).
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from penstock.providers.mending import MAX_COUNT

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]


class Details(msgspec.Struct, gc=False):
    """What part of a count is of another kind."""

    cached_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    cache_write_tokens: Count | None = None  # OpenRouter


class Usage(msgspec.Struct, gc=False):
    """Token counts, by the names of chat and completions, of DeepSeek, and of responses."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    prompt_cache_hit_tokens: Count | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    input_tokens_details: Details | None = None
    output_tokens_details: Details | None = None


class Part(msgspec.Struct, gc=False):
    """A piece of a content that is a list, as Mistral's reasoning models send it."""

    text: str = ""
    thinking: Any = None


class Message(msgspec.Struct, gc=False):
    """What a choice of a chat says."""

    content: str | list[Part] | None = None
    refusal: str | None = None
    tool_calls: list[msgspec.Raw] | None = None
    function_call: Any = None
    reasoning_content: Any = None  # DeepSeek, vLLM, llama.cpp
    reasoning: Any = None  # OpenRouter, Ollama, Groq


class Choice(msgspec.Struct, gc=False):
    """One choice of a chat; gateways report a failure half way in its `error`."""

    message: Message | None = None
    finish_reason: str | None = None
    error: Any = None


class TextChoice(msgspec.Struct, gc=False):
    """One choice of a legacy completion."""

    text: str | None = None
    finish_reason: str | None = None
    error: Any = None


class Vector(msgspec.Struct, gc=False):
    """One embedding: numbers, or base64 text."""

    embedding: msgspec.Raw
    index: int = 0


class Body(msgspec.Struct, gc=False):
    """What all bodies have."""

    error: Any = None
    model: str | None = None
    usage: Usage | None = None


class ChatBody(Body, gc=False):
    """Of /chat/completions."""

    choices: list[Choice] = []


class TextBody(Body, gc=False):
    """Of /completions."""

    choices: list[TextChoice] = []


class ResponseBody(Body, gc=False):
    """Of /responses. Its output has items of many types, of which most are not read."""

    status: str | None = None
    output: list[dict[str, Any]] | None = None
    incomplete_details: dict[str, Any] | None = None


class EmbeddingBody(Body, gc=False):
    """Of /embeddings."""

    data: list[Vector] = []
