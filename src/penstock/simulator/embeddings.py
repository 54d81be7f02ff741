"""Embeddings: unit vectors that are a function of the text alone, so that each proves its row."""

from __future__ import annotations

import base64
import math
import struct
from hashlib import shake_256

import msgspec

from penstock.simulator import refusals
from penstock.simulator.questions import Question, count_tokens
from penstock.simulator.refusals import Refusal

MOST_TOKENS = 300_000  # of all texts of a request together, as OpenAI has it


def embed(text: str, dimensions: int) -> tuple[float, ...]:
    """The text's vector, of length 1; values are exact in 32 bits, so base64 loses nothing."""
    digest = shake_256(text.encode()).digest(4 * dimensions)
    raw = struct.unpack(f"<{dimensions}i", digest)
    norm = math.sqrt(sum(value * value for value in raw)) or 1.0
    return unpack_vector(struct.pack(f"<{dimensions}f", *(value / norm for value in raw)))


def unpack_vector(data: bytes) -> tuple[float, ...]:
    """Little-endian 32-bit floats, as base64 embeddings carry them, as numbers."""
    return struct.unpack(f"<{len(data) // 4}f", data)


def refuse(texts: tuple[str, ...], most_texts: int, context_tokens: int) -> Refusal | None:
    """Why a request for the vectors of these texts is refused whole, if it is."""
    if len(texts) > most_texts:
        return refusals.too_many_texts(most_texts)
    if not all(texts):
        return refusals.empty_text()
    each = [count_tokens(text) for text in texts]
    if context_tokens and max(each) > context_tokens:
        return refusals.prompt_too_long(context_tokens, max(each))
    return refusals.too_many_tokens(MOST_TOKENS) if sum(each) > MOST_TOKENS else None


def embedding_body(question: Question, default_dimensions: int) -> bytes:
    """The answer to an embedding request, in the encoding it asks for."""
    dimensions = question.dimensions or default_dimensions
    data = []
    for index, text in enumerate(question.texts):
        vector = embed(text, dimensions)
        shown: object = vector
        if question.base64:
            shown = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": shown})
    used = {"prompt_tokens": question.prompt_tokens, "total_tokens": question.prompt_tokens}
    return msgspec.json.encode(
        {"object": "list", "data": data, "model": question.model, "usage": used}
    )
