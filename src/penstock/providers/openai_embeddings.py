"""OpenAI's embeddings, and those of every server that is compatible with them; Azure's too.

https://platform.openai.com/docs/api-reference/embeddings. Vectors are asked for as base64. A server
that does not know that sends numbers, which are read just as well; one that refuses it is asked
with `--param encoding_format=float`, or `=null` to say nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from penstock.errors import JobError
from penstock.job import Job, nested
from penstock.providers.dialect import ENCODER, HOLE
from penstock.providers.embedder import (
    Embedder,
    Embeddings,
    refuse_params,
    vector_of,
    wanted,
)
from penstock.providers.openai import OpenAI
from penstock.providers.openai_answers import count
from penstock.providers.openai_bodies import EmbeddingBody, Vector
from penstock.providers.provider import BadResponse
from penstock.providers.shape import Shape

PATH: Final = "/embeddings"
ENCODING: Final = "encoding_format"
READABLE: Final = ("base64", "float", None)


class OpenAIEmbeddings(Embedder):
    """The dialect, for one job."""

    def __init__(self, job: Job, talks: OpenAI) -> None:
        """`talks` is the dialect for chats there. Raises JobError."""
        if talks.base_path.endswith(PATH):
            raise JobError(
                f"--base-url {job.base_url!r} names one endpoint of the API",
                f"Give the URL without {PATH}.",
            )
        params = params_of(job)
        first = ENCODER.encode({"model": talks.model})[:-1] + b',"input":['
        last = b"]" + (b"," + ENCODER.encode(params)[1:] if params else b"}")
        super().__init__(job, talks, talks.prefix + PATH, (first, last), {}, HOLE, SHAPE)


def params_of(job: Job) -> dict[str, Any]:
    """What the body says beside the texts. Raises JobError."""
    params = nested(job.param)
    refuse_params(params, ("input",))
    asked: dict[str, Any] = {ENCODING: "base64", **wanted(job, "dimensions"), **params}
    if asked[ENCODING] not in READABLE:
        raise JobError(
            f"--param {ENCODING}={asked[ENCODING]}: only floats can be read",
            "Allowed: base64, float, and null to say nothing of it.",
        )
    if asked[ENCODING] is None:
        del asked[ENCODING]
    return asked


def read_vectors(body: EmbeddingBody) -> Embeddings | None:
    """The vectors in the order of their index. Raises BadResponse."""
    if not body.data:
        return None
    return Embeddings(vectors=tuple(vector_of(bytes(one.embedding)) for one in in_order(body.data)))


def in_order(data: Sequence[Vector]) -> list[Vector]:
    """The vectors by their index, of which each must be there once. Raises BadResponse.

    An index that is left out is 0, as in all JSON of Google's; only one can be.
    """
    placed: list[Vector | None] = [None] * len(data)
    for one in data:
        if not 0 <= one.index < len(placed) or placed[one.index] is not None:
            raise BadResponse(f"a 200 with {len(data)} vectors, and one of index {one.index}")
        placed[one.index] = one
    return [one for one in placed if one is not None]


SHAPE: Final = Shape(EmbeddingBody, read_vectors, count)


def create(job: Job) -> OpenAIEmbeddings:
    """The dialect for `job`; raises JobError, TemplateError."""
    if job.provider == "azure":
        from penstock.providers.azure import Azure

        return OpenAIEmbeddings(job, Azure(job))
    return OpenAIEmbeddings(job, OpenAI(job))
