"""Gemini's embeddings, batchEmbedContents: https://ai.google.dev/api/embeddings.

The vectors come in the order of the requests, and have no index. Parameters, such as `taskType`,
are of each text.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

import msgspec

from penstock.job import Job, nested
from penstock.providers.dialect import HOLE
from penstock.providers.embedder import (
    Embedder,
    Embeddings,
    refuse_params,
    vector_of,
    wanted,
)
from penstock.providers.gemini import Gemini, model_path
from penstock.providers.openai_bodies import Count
from penstock.providers.provider import Answer
from penstock.providers.shape import Shape

CHAT: Final = ":generateContent"
EMBED: Final = ":batchEmbedContents"


class Values(msgspec.Struct, gc=False):
    """One vector."""

    values: msgspec.Raw


class Usage(msgspec.Struct, gc=False, rename="camel"):
    """Token counts, which not all models have."""

    prompt_token_count: Count | None = None


class EmbeddingsBody(msgspec.Struct, gc=False):
    """Of :batchEmbedContents."""

    error: object = None
    model: str | None = None
    usage: Usage | None = msgspec.field(default=None, name="usageMetadata")
    embeddings: list[Values] = []


class GeminiEmbeddings(Embedder):
    """The dialect, for one job."""

    def __init__(self, job: Job, talks: Gemini) -> None:
        """`talks` is the dialect for chats there. Raises JobError."""
        params = nested(job.param)
        refuse_params(params, ("content", "requests"))
        part = {
            "model": unquote(model_path(job.model or "")),
            "content": {"parts": [{"text": HOLE}]},
            **wanted(job, "outputDimensionality"),
            **params,
        }
        path = talks.path.removesuffix(CHAT) + EMBED
        super().__init__(job, talks, path, (b'{"requests":[', b"]}"), part, HOLE, SHAPE)


def read_vectors(body: EmbeddingsBody) -> Embeddings | None:
    """The vectors, as they come. Raises BadResponse."""
    if not body.embeddings:
        return None
    return Embeddings(vectors=tuple(vector_of(bytes(one.values)) for one in body.embeddings))


def count(answer: Answer, usage: Usage) -> None:
    """Write `usage` into `answer`."""
    answer.input_tokens = usage.prompt_token_count


SHAPE: Final = Shape(EmbeddingsBody, read_vectors, count, usage="usageMetadata")


def create(job: Job) -> GeminiEmbeddings:
    """The dialect for `job`; raises JobError, TemplateError."""
    return GeminiEmbeddings(job, Gemini(job))
