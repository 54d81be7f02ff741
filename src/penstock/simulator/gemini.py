"""Gemini's API, as the simulator speaks it; the model is in the path."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from penstock.simulator.answers import Reply
from penstock.simulator.embeddings import embed
from penstock.simulator.questions import Amount, Dimensions, Part, Question, count_tokens

FINISH_REASONS = {"stop": "STOP", "length": "MAX_TOKENS"}


class Content(msgspec.Struct):
    """Parts that one side said; only those that are text have `text`."""

    parts: list[Part] = []
    role: str = "user"


class Config(msgspec.Struct, rename="camel"):
    max_output_tokens: Amount | None = None
    response_mime_type: str = ""
    response_json_schema: dict[str, Any] | None = None


class GenerateBody(msgspec.Struct, rename="camel"):
    contents: Annotated[list[Content], msgspec.Meta(min_length=1)]
    system_instruction: Content | None = None
    generation_config: Config | None = None


class EmbedBody(msgspec.Struct, rename="camel"):
    content: Content
    output_dimensionality: Dimensions | None = None


class EmbedBatchBody(msgspec.Struct):
    requests: Annotated[list[EmbedBody], msgspec.Meta(min_length=1)]


def said(content: Content) -> str:
    """The texts of a content, joined."""
    return "".join(part.text or "" for part in content.parts)


def generate_question(body: bytes) -> Question:
    asked = _generate_decoder.decode(body)
    config = asked.generation_config or Config()
    users = [one for one in asked.contents if one.role != "model"]
    system = [asked.system_instruction] if asked.system_instruction else []
    return Question(
        "",
        (said((users or asked.contents)[-1]),),
        count_tokens(*map(said, [*system, *asked.contents])),
        config.max_output_tokens,
        wants_json=config.response_mime_type == "application/json",
        schema=config.response_json_schema,
    )


def embed_question(body: bytes) -> Question:
    return embedding_of([_embed_decoder.decode(body)])


def embed_batch_question(body: bytes) -> Question:
    return embedding_of(_embed_batch_decoder.decode(body).requests)


def embedding_of(asked: list[EmbedBody]) -> Question:
    texts = tuple(said(one.content) for one in asked)
    return Question("", texts, count_tokens(*texts), dimensions=asked[0].output_dimensionality)


def generate_body(reply: Reply) -> bytes:
    """The reply as a candidate; thoughts are counted beside its tokens, and no count is 0."""
    counts = {
        "promptTokenCount": reply.prompt_tokens,
        "candidatesTokenCount": reply.output_tokens - reply.reasoning_tokens,
        "thoughtsTokenCount": reply.reasoning_tokens,
        "cachedContentTokenCount": reply.cached_tokens,
        "totalTokenCount": reply.prompt_tokens + reply.output_tokens,
    }
    candidate = {
        "content": {"parts": [{"text": reply.texts[0]}], "role": "model"},
        "finishReason": FINISH_REASONS[reply.finish_reason],
        "index": 0,
    }
    return msgspec.json.encode(
        {
            "candidates": [candidate],
            "usageMetadata": {name: count for name, count in counts.items() if count},
            "modelVersion": reply.model,
            "responseId": reply.id,
        }
    )


def embed_body(question: Question, default_dimensions: int) -> bytes:
    return msgspec.json.encode({"embedding": vectors(question, default_dimensions)[0]})


def embed_batch_body(question: Question, default_dimensions: int) -> bytes:
    used = {"promptTokenCount": question.prompt_tokens}
    return msgspec.json.encode(
        {"embeddings": vectors(question, default_dimensions), "usageMetadata": used}
    )


def vectors(question: Question, default_dimensions: int) -> list[dict[str, tuple[float, ...]]]:
    dimensions = question.dimensions or default_dimensions
    return [{"values": embed(text, dimensions)} for text in question.texts]


_generate_decoder = msgspec.json.Decoder(GenerateBody)
_embed_decoder = msgspec.json.Decoder(EmbedBody)
_embed_batch_decoder = msgspec.json.Decoder(EmbedBatchBody)
