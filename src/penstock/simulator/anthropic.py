"""Anthropic's messages API, as the simulator speaks it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from penstock.simulator.answers import Reply
from penstock.simulator.questions import (
    Amount,
    Format,
    Part,
    Question,
    count_tokens,
    part_texts,
    schema_of,
)

STOP_REASONS = {"stop": "end_turn", "length": "max_tokens"}


class Block(msgspec.Struct):
    """A block of a message; a tool's result has blocks of its own."""

    type: str
    text: str = ""
    content: str | list[Part] = ""


class Message(msgspec.Struct):
    role: Annotated[str, msgspec.Meta(pattern="^(user|assistant)$")]
    content: str | list[Block]


class OutputConfig(msgspec.Struct):
    format: Format | None = None


class MessagesBody(msgspec.Struct):
    model: str
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    max_tokens: Amount
    system: str | list[Block] = ""
    output_config: OutputConfig | None = None
    stream: bool = False


def said(content: str | list[Block]) -> str:
    """The texts of a content, joined."""
    if isinstance(content, str):
        return content
    return "".join(block.text or part_texts(block.content) for block in content)


def message_question(body: bytes) -> Question:
    asked = _decoder.decode(body)
    if asked.stream:
        raise msgspec.ValidationError("messages are not streamed by the simulator - at `$.stream`")
    users = [one for one in asked.messages if one.role == "user"]
    texts = [said(asked.system), *(said(one.content) for one in asked.messages)]
    return Question(
        asked.model,
        (said((users or asked.messages)[-1].content),),
        count_tokens(*texts),
        asked.max_tokens,
        wants_json=bool(asked.output_config and asked.output_config.format),
        schema=schema_of(asked.output_config.format if asked.output_config else None),
    )


def message_body(reply: Reply) -> bytes:
    """The reply as a message; what is read from the cache is no part of its input tokens."""
    return msgspec.json.encode(
        {
            "id": f"msg_{reply.id}",
            "type": "message",
            "role": "assistant",
            "model": reply.model,
            "content": [{"type": "text", "text": reply.texts[0]}],
            "stop_reason": STOP_REASONS[reply.finish_reason],
            "stop_sequence": None,
            "usage": {
                "input_tokens": reply.prompt_tokens - reply.cached_tokens,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": reply.cached_tokens,
                "output_tokens": reply.output_tokens,
                "output_tokens_details": {"thinking_tokens": reply.reasoning_tokens},
            },
        }
    )


_decoder = msgspec.json.Decoder(MessagesBody)
