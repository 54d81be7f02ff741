"""What a 200 of Gemini's generateContent says."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from penstock.providers.openai_answers import answer_of, strings, together
from penstock.providers.openai_bodies import Count
from penstock.providers.provider import Answer
from penstock.providers.shape import Shape

CUT: Final = "MAX_TOKENS"  # the finish reason of what a token limit cut


class Content(msgspec.Struct, gc=False):
    """What a candidate says; its parts are of many kinds, of which most are not read."""

    parts: list[dict[str, Any]] | None = None


class Candidate(msgspec.Struct, gc=False, rename="camel"):
    """One candidate; without content where it was stopped before it said anything."""

    content: Content | None = None
    finish_reason: str | None = None


class Feedback(msgspec.Struct, gc=False, rename="camel"):
    """What was found of the prompt."""

    block_reason: str | None = None


class Usage(msgspec.Struct, gc=False, rename="camel"):
    """Token counts; thoughts are not among the candidates' tokens."""

    prompt_token_count: Count | None = None
    tool_use_prompt_token_count: Count | None = None
    cached_content_token_count: Count | None = None
    candidates_token_count: Count | None = None
    thoughts_token_count: Count | None = None


class CandidatesBody(msgspec.Struct, gc=False, rename="camel"):
    """Of :generateContent."""

    error: Any = None
    model: str | None = msgspec.field(default=None, name="modelVersion")
    usage: Usage | None = msgspec.field(default=None, name="usageMetadata")
    candidates: list[Candidate] = []
    prompt_feedback: Feedback | None = None


def read_candidates(body: CandidatesBody) -> Answer | None:
    """The first candidate; with several, what they say is a JSON list of theirs.

    A prompt that was blocked is an answer with the reason and nothing else: asking again would be
    blocked again.
    """
    blocked = body.prompt_feedback.block_reason if body.prompt_feedback else None
    if not body.candidates:
        return Answer(None, blocked) if blocked else None
    reason = body.candidates[0].finish_reason
    parts = [parts_of(candidate) for candidate in body.candidates]
    calls = list(map(calls_in, parts))
    texts = [text_of(one, thought=False) for one in parts]
    outputs = [text or called or text for text, called in zip(texts, calls, strict=True)]
    answer = answer_of(outputs, reason)
    if answer is not None:
        answer.truncated = any(candidate.finish_reason == CUT for candidate in body.candidates)
        answer.tool_calls = together(calls)
        answer.reasoning = together([text_of(one, thought=True) for one in parts])
    return answer


def parts_of(candidate: Candidate) -> list[dict[str, Any]]:
    return (candidate.content.parts if candidate.content else None) or []


def text_of(parts: list[dict[str, Any]], *, thought: bool) -> str | None:
    """The text of the parts that are thoughts, or of those that are none."""
    chosen = [part for part in parts if bool(part.get("thought")) == thought]
    texts = strings(chosen, "text")
    return "".join(texts) if texts else None


def calls_in(parts: list[dict[str, Any]]) -> str | None:
    """The function calls as a JSON list, as they came."""
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    return json.dumps(calls, ensure_ascii=False) if calls else None


def count(answer: Answer, usage: Usage) -> None:
    """Write `usage` into `answer`, whose input and output are all of it."""
    if usage.prompt_token_count is not None:
        tools = usage.tool_use_prompt_token_count or 0
        answer.input_tokens = usage.prompt_token_count + tools
        # Counts that are 0 are left out of Google's JSON.
        answer.output_tokens = (usage.candidates_token_count or 0) + (
            usage.thoughts_token_count or 0
        )
    answer.cached_input_tokens = usage.cached_content_token_count
    answer.reasoning_tokens = usage.thoughts_token_count


CANDIDATES: Final = Shape(
    CandidatesBody, read_candidates, count, usage="usageMetadata", model="modelVersion"
)
