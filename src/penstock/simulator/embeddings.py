"""Embeddings: unit vectors that are a function of the text alone, so that each proves its row."""

from __future__ import annotations

import base64
import math
import struct
from hashlib import shake_256

import msgspec

from penstock.simulator.questions import Question


def embed(text: str, dimensions: int) -> tuple[float, ...]:
    """The text's vector, of length 1; values are exact in 32 bits, so base64 loses nothing."""
    digest = shake_256(text.encode()).digest(4 * dimensions)
    raw = struct.unpack(f"<{dimensions}i", digest)
    norm = math.sqrt(sum(value * value for value in raw)) or 1.0
    return unpack_vector(struct.pack(f"<{dimensions}f", *(value / norm for value in raw)))


def unpack_vector(data: bytes) -> tuple[float, ...]:
    """Little-endian 32-bit floats, as base64 embeddings carry them, as numbers."""
    return struct.unpack(f"<{len(data) // 4}f", data)


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
