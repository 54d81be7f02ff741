"""What a 200 of Anthropic's messages API says."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from penstock.providers.openai_answers import strings
from penstock.providers.openai_bodies import Count
from penstock.providers.provider import Answer
from penstock.providers.shape import Shape

# Where a token limit cut the answer: the request's, or the model's context.
CUT: Final = ("max_tokens", "model_context_window_exceeded")


class OutputDetails(msgspec.Struct, gc=False):
    """What part of the output is of another kind."""

    thinking_tokens: Count | None = None


class Usage(msgspec.Struct, gc=False):
    """Token counts; `input_tokens` leaves out what was read from and written to the cache."""

    input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    output_tokens: Count | None = None
    output_tokens_details: OutputDetails | None = None


class MessageBody(msgspec.Struct, gc=False):
    """Of /messages. Its content has blocks of many types, of which most are not read."""

    error: Any = None
    model: str | None = None
    usage: Usage | None = None
    content: list[dict[str, Any]] | None = None
    stop_reason: str | None = None


def read_message(body: MessageBody) -> Answer | None:
    """The text, else the tool calls; those and what the model thought stand beside it too."""
    if body.content is None or not (body.content or body.stop_reason):
        return None
    texts = strings(of_type(body.content, "text"), "text")
    calls = of_type(body.content, "tool_use")
    thoughts = strings(of_type(body.content, "thinking"), "thinking")
    called = json.dumps(calls, ensure_ascii=False) if calls else None
    return Answer(
        "".join(texts) or called or ("" if texts else None),
        body.stop_reason,
        truncated=body.stop_reason in CUT,
        reasoning="\n".join(thoughts) or None,
        tool_calls=called,
    )


def of_type(blocks: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [block for block in blocks if block.get("type") == kind]


def count(answer: Answer, usage: Usage) -> None:
    """Write `usage` into `answer`, whose input is all of it."""
    answer.cached_input_tokens = usage.cache_read_input_tokens
    answer.cache_write_tokens = usage.cache_creation_input_tokens
    if usage.input_tokens is not None:
        cached = usage.cache_read_input_tokens or 0
        answer.input_tokens = usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0)
    answer.output_tokens = usage.output_tokens
    if usage.output_tokens_details is not None:
        answer.reasoning_tokens = usage.output_tokens_details.thinking_tokens


MESSAGES: Final = Shape(MessageBody, read_message, count)
