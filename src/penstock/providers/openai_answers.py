"""What a 200 of the OpenAI API says, for each of the four endpoints that a batch line may name.

Nothing to show, for a reason that is named (a content filter, all tokens gone into reasoning), is
an answer too: asking again would buy the same.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final

import msgspec

from penstock._core import PlainChats
from penstock.providers.openai_bodies import (
    ChatBody,
    Choice,
    Details,
    EmbeddingBody,
    Message,
    Part,
    ResponseBody,
    TextBody,
    Usage,
)
from penstock.providers.provider import Answer
from penstock.providers.shape import Shape

CUT: Final = "length"  # the finish reason of what a token limit cut
TOOL_CALLS: Final = ("function_call", "custom_tool_call")


def read_chat(body: ChatBody) -> Answer | None:
    """The first choice; with several (`n`), the output is a JSON list of theirs."""
    messages = [choice.message for choice in body.choices if not choice.error]
    if not messages or len(messages) < len(body.choices) or None in messages:
        return None
    said = [one for one in messages if one is not None]
    reason = body.choices[0].finish_reason
    if said[0].refusal and not said[0].content:
        reason = "refusal"
    called = [calls_of(one) for one in said]
    texts = [text_of(one) for one in said]
    outputs = [text or calls or text for text, calls in zip(texts, called, strict=True)]
    found = answer_of(outputs, reason)
    if found is not None:
        found.truncated = any(choice.finish_reason == CUT for choice in body.choices)
        found.tool_calls = together(called)
        found.reasoning = together([thought(one) for one in said])
    return found


def text_of(message: Message) -> str | None:
    """The text, else the model's refusal."""
    if isinstance(message.content, list):
        return "".join(part.text for part in message.content)
    return message.content or message.refusal or message.content


def calls_of(message: Message) -> str | None:
    """The tool calls as JSON text, as they came; without any text they are the output too."""
    if message.tool_calls:
        calls = (bytes(call).decode("utf-8", "replace") for call in message.tool_calls)
        return f"[{','.join(calls)}]"
    if message.function_call:
        return json.dumps(message.function_call, ensure_ascii=False)
    return None


def thought(message: Message) -> str | None:
    """What the model says that it thought: beside its answer, or in parts of it (Mistral)."""
    for beside in (message.reasoning_content, message.reasoning):
        if isinstance(beside, str) and beside:
            return beside
    parts = message.content if isinstance(message.content, list) else []
    return "".join(map(thought_part, parts)) or None


def thought_part(part: Part) -> str:
    """The text of one part that is a thought."""
    if isinstance(part.thinking, list):
        return "".join(strings([one for one in part.thinking if isinstance(one, dict)], "text"))
    return part.thinking if isinstance(part.thinking, str) else ""


def together(values: list[str | None]) -> str | None:
    """The only value as it is, of several a JSON list; None where all are."""
    if not any(value is not None for value in values):
        return None
    return values[0] if len(values) == 1 else msgspec.json.encode(values).decode()


def read_text(body: TextBody) -> Answer | None:
    """The text; with several choices, a JSON list of theirs."""
    if not body.choices or any(choice.error for choice in body.choices):
        return None
    answer = answer_of([choice.text for choice in body.choices], body.choices[0].finish_reason)
    if answer is not None:
        answer.truncated = any(choice.finish_reason == CUT for choice in body.choices)
    return answer


def answer_of(outputs: list[str | None], reason: str | None) -> Answer | None:
    """One output as it is, several as a JSON list; None for nothing without a reason."""
    if len(outputs) > 1:
        return Answer(msgspec.json.encode(outputs).decode(), reason)
    return Answer(outputs[0], reason) if reason or outputs[0] is not None else None


def read_response(body: ResponseBody) -> Answer | None:
    """The text, else the function calls as JSON, else the model's refusal."""
    if body.output is None or body.status == "failed":
        return None
    parts = [part for item in body.output if item.get("type") == "message" for part in pieces(item)]
    calls = [item for item in body.output if item.get("type") in TOOL_CALLS]
    texts, refusals = strings(parts, "text"), strings(parts, "refusal")
    reason = strings([body.incomplete_details or {}], "reason")
    finish = reason[0] if reason else body.status
    called = json.dumps(calls, ensure_ascii=False) if calls else None
    if not (texts or called) and refusals:
        finish = "refusal"
    answer = answer_of(["".join(texts) or called or "".join(refusals) or None], finish)
    if answer is not None:
        answer.truncated = finish == "max_output_tokens"
        answer.tool_calls = called
        answer.reasoning = reasoned(body.output)
    return answer


def reasoned(output: list[dict[str, Any]]) -> str | None:
    """A response's reasoning: its text where the model gives it, else the summary."""
    items = [item for item in output if item.get("type") == "reasoning"]
    for name in ("content", "summary"):
        texts = strings([part for item in items for part in pieces(item, name)], "text")
        if texts:
            return "\n".join(texts)
    return None


def pieces(item: dict[str, Any], name: str = "content") -> list[dict[str, Any]]:
    """The parts of a response's item."""
    content = item.get(name)
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def strings(objects: list[dict[str, Any]], name: str) -> list[str]:
    """The values of one key that are text."""
    return [value for one in objects if isinstance(value := one.get(name), str)]


def read_embeddings(body: EmbeddingBody) -> Answer | None:
    """The vector as it came, as JSON text; several are a JSON list, in the order of their index."""
    vectors = [bytes(one.embedding) for one in sorted(body.data, key=lambda one: one.index)]
    if not vectors or not all(vector[:1] in (b"[", b'"') for vector in vectors):
        return None
    text = vectors[0] if len(vectors) == 1 else b"[" + b",".join(vectors) + b"]"
    return Answer(text.decode("utf-8", "replace"))


def count(answer: Answer, usage: Usage) -> None:
    """Write `usage` into `answer`."""
    read, written = usage.prompt_tokens, usage.completion_tokens
    answer.input_tokens = usage.input_tokens if read is None else read
    answer.output_tokens = usage.output_tokens if written is None else written
    if usage.prompt_cache_hit_tokens is not None:
        answer.cached_input_tokens = usage.prompt_cache_hit_tokens
    ins = usage.prompt_tokens_details or usage.input_tokens_details
    if ins is not None:
        if ins.cached_tokens is not None:
            answer.cached_input_tokens = ins.cached_tokens
        answer.cache_write_tokens = ins.cache_write_tokens
    outs = usage.completion_tokens_details or usage.output_tokens_details
    if outs is not None:
        answer.reasoning_tokens = outs.reasoning_tokens


PLAIN: Final = PlainChats(Answer, CUT, ChatBody, Choice, Message, Usage, Details)
CHAT: Final = Shape(ChatBody, read_chat, count, plain=PLAIN.answer)

# By the end of the path; `/chat/completions` ends with `/completions` too, so it goes first.
SHAPES: Final = (
    ("/chat/completions", CHAT),
    ("/completions", Shape(TextBody, read_text, count)),
    ("/responses", Shape(ResponseBody, read_response, count)),
    ("/embeddings", Shape(EmbeddingBody, read_embeddings, count)),
)


@lru_cache(maxsize=64)
def shape_for(path: str) -> Shape:
    """How an answer to `path` is read."""
    return next((shape for end, shape in SHAPES if path.endswith(end)), CHAT)
