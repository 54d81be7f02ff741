"""Good answers as server-sent events: the same replies, a token at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from penstock.simulator.answers import Reply, response_object, usage

# Timers are good to a millisecond or so: tokens that are due close together share a write.
TICK_SECONDS = 0.01

DONE = b"data: [DONE]\n\n"


def data_event(payload: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(payload) + b"\n\n"


def named_event(name: str, payload: dict[str, Any]) -> bytes:
    return f"event: {name}\n".encode() + data_event({"type": name, **payload})


def split(text: str, count: int) -> Iterator[str]:
    """The text in at most `count` parts of about the same length."""
    size = max(1, -(-len(text) // max(1, count)))
    for start in range(0, len(text), size):
        yield text[start : start + size]


def chat_events(reply: Reply, include_usage: bool) -> list[bytes]:
    """Chunks of chat completion: the role, the text, the finish, the usage if asked for, [DONE]."""
    base = {
        "id": f"chatcmpl-{reply.id}",
        "object": "chat.completion.chunk",
        "created": reply.created,
        "model": reply.model,
        "system_fingerprint": "fp_simulated",
    }
    # Who asks for usage gets the field in every chunk, null in all but the last.
    rest: dict[str, Any] = {"usage": None} if include_usage else {}

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return data_event({**base, "choices": [choice], **rest})

    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": part}) for part in split(reply.texts[0], reply.output_tokens)),
        chunk({}, reply.finish_reason),
        *([data_event({**base, "choices": [], "usage": usage(reply)})] if include_usage else []),
        DONE,
    ]


def completion_events(reply: Reply, include_usage: bool) -> list[bytes]:
    """Chunks of text completion, one prompt after the other."""
    base = {
        "id": f"cmpl-{reply.id}",
        "object": "text_completion",
        "created": reply.created,
        "model": reply.model,
    }
    each = reply.output_tokens // len(reply.texts)
    chunks = []
    for index, text in enumerate(reply.texts):
        *parts, last = split(text, each)
        ends = [(part, None) for part in parts] + [(last, reply.finish_reason)]
        for part, finish in ends:
            choice = {"text": part, "index": index, "logprobs": None, "finish_reason": finish}
            chunks.append(data_event({**base, "choices": [choice]}))
    if include_usage:
        chunks.append(data_event({**base, "choices": [], "usage": usage(reply)}))
    return [*chunks, DONE]


def response_events(reply: Reply, include_usage: bool) -> list[bytes]:
    """Named events of the Responses API; its last one always states the usage."""
    done = response_object(reply)
    item = f"msg_{reply.id}"
    begun = {**done, "status": "in_progress", "output": [], "usage": None}
    last = f"response.{done['status']}"
    return [
        named_event("response.created", {"response": begun}),
        *(
            named_event("response.output_text.delta", {"item_id": item, "delta": part})
            for part in split(reply.texts[0], reply.output_tokens)
        ),
        named_event("response.output_text.done", {"item_id": item, "text": reply.texts[0]}),
        named_event(last, {"response": done}),
    ]


def paced(
    events: list[bytes], ttft_seconds: float, generation_seconds: float
) -> tuple[tuple[float, bytes], ...]:
    """The events as (seconds after the one before, bytes): the first after `ttft_seconds`, the rest
    evenly over `generation_seconds`, those within a tick together."""
    step_seconds = generation_seconds / max(1, len(events) - 1)
    pieces: list[tuple[float, bytes]] = []
    delay_seconds, waited_seconds, together = ttft_seconds, 0.0, [events[0]]
    for event in events[1:]:
        waited_seconds += step_seconds
        if waited_seconds >= TICK_SECONDS:
            pieces.append((delay_seconds, b"".join(together)))
            delay_seconds, waited_seconds, together = waited_seconds, 0.0, []
        together.append(event)
    pieces.append((delay_seconds, b"".join(together)))
    return tuple(pieces)
