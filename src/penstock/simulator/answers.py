"""Good answers, in the shape of each API; each carries its record's text, to prove its row.

The text is `echo: <the record's text>`, never cut, with filler behind it up to the drawn number of
tokens; usage states the drawn number. Who asks for JSON of a schema gets a value that matches it,
with the same text in it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from penstock.simulator.draws import Length, is_invalid
from penstock.simulator.instances import instance, wrong
from penstock.simulator.questions import Question
from penstock.simulator.settings import Settings

_FILLER = " and so on"
_encode = msgspec.json.encode


class Reply(NamedTuple):
    """An answer before it has a shape: what to say, and what it cost."""

    id: str
    created: int
    model: str
    texts: tuple[str, ...]
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int


def make_reply(
    settings: Settings, question: Question, length: Length, key: int, id: str, created: int
) -> Reply:
    """The reply to a question: one text for each of its texts."""
    output_tokens = length.tokens * len(question.texts)
    return Reply(
        id,
        created,
        question.model,
        tuple(said(settings, question, text, length, key) for text in question.texts),
        length.finish_reason,
        question.prompt_tokens,
        int(question.prompt_tokens * settings.cached_share),
        output_tokens,
        int(output_tokens * settings.reasoning_share),
    )


def said(settings: Settings, question: Question, text: str, length: Length, key: int) -> str:
    """What to answer to one text; where a schema is asked for, that, cut where the answer is."""
    if question.schema is None:
        return echo(text, length.tokens, question.wants_json)
    value = instance(question.schema, f"echo: {text}")
    is_bad, how = is_invalid(settings, key)
    written = _encode(wrong(value, how) if is_bad else value).decode()
    return written[: length.tokens * 4] if length.finish_reason == "length" else written


def echo(text: str, tokens: int, wants_json: bool) -> str:
    """The text to answer a record with; a JSON object for who asks for one."""
    if wants_json:
        return _encode({"echo": text}).decode()
    said = f"echo: {text}"
    missing = tokens * 4 - len(said)
    return said + (_FILLER * (missing // len(_FILLER))) if missing > 0 else said


def usage(reply: Reply) -> dict[str, Any]:
    """Usage as chat and completions state it."""
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.output_tokens,
        "total_tokens": reply.prompt_tokens + reply.output_tokens,
        "prompt_tokens_details": {"cached_tokens": reply.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
    }


def response_usage(reply: Reply) -> dict[str, Any]:
    """Usage as the Responses API states it."""
    return {
        "input_tokens": reply.prompt_tokens,
        "input_tokens_details": {"cached_tokens": reply.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": reply.output_tokens,
        "output_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
        "total_tokens": reply.prompt_tokens + reply.output_tokens,
    }


def chat_body(reply: Reply) -> bytes:
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": None,
            "finish_reason": reply.finish_reason,
        }
        for index, text in enumerate(reply.texts)
    ]
    return _encode(
        {
            "id": f"chatcmpl-{reply.id}",
            "object": "chat.completion",
            "created": reply.created,
            "model": reply.model,
            "choices": choices,
            "usage": usage(reply),
            "system_fingerprint": "fp_simulated",
        }
    )


def completion_body(reply: Reply) -> bytes:
    choices = [
        {"text": text, "index": index, "logprobs": None, "finish_reason": reply.finish_reason}
        for index, text in enumerate(reply.texts)
    ]
    return _encode(
        {
            "id": f"cmpl-{reply.id}",
            "object": "text_completion",
            "created": reply.created,
            "model": reply.model,
            "choices": choices,
            "usage": usage(reply),
        }
    )


def response_object(reply: Reply) -> dict[str, Any]:
    """A finished object of the Responses API."""
    cut = reply.finish_reason == "length"
    status = "incomplete" if cut else "completed"
    content = [{"type": "output_text", "text": reply.texts[0], "annotations": []}]
    message = {
        "type": "message",
        "id": f"msg_{reply.id}",
        "status": status,
        "role": "assistant",
        "content": content,
    }
    return {
        "id": f"resp_{reply.id}",
        "object": "response",
        "created_at": reply.created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "model": reply.model,
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": response_usage(reply),
    }


def response_body(reply: Reply) -> bytes:
    return _encode(response_object(reply))
