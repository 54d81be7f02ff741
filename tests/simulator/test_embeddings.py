from __future__ import annotations

import base64
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.simulator.embeddings import embed, embedding_body, refuse, unpack_vector
from penstock.simulator.questions import Question


@given(st.text(st.characters(exclude_categories=("Cs",))), st.integers(1, 200))
def test_a_vector_is_a_function_of_the_text_and_has_length_1(text: str, dimensions: int) -> None:
    vector = embed(text, dimensions)
    assert vector == embed(text, dimensions) and len(vector) == dimensions
    assert math.hypot(*vector) == pytest.approx(1, abs=1e-5)
    if dimensions > 2:
        assert vector != embed(text + "!", dimensions)


def test_base64_embeddings_decode_to_the_float_ones() -> None:
    plain = json.loads(embedding_body(Question("m", ("a", "b"), 2), 16))
    packed = json.loads(embedding_body(Question("m", ("a", "b"), 2, base64=True), 16))
    assert [one["index"] for one in plain["data"]] == [0, 1]
    for one, other in zip(plain["data"], packed["data"], strict=True):
        assert tuple(one["embedding"]) == unpack_vector(base64.b64decode(other["embedding"]))


def test_a_request_s_dimensions_win() -> None:
    body = json.loads(embedding_body(Question("m", ("a",), 3, dimensions=5), 16))
    assert len(body["data"][0]["embedding"]) == 5
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


@pytest.mark.parametrize(
    ("texts", "status"),
    [
        (("a",) * 100, None),
        (("a",) * 101, "At most 100 texts"),
        (("a", ""), "empty text"),
        (("a" * 400, "b"), "context length"),
        (("a" * 32,) * 100, None),
    ],
)
def test_one_text_too_many_or_that_is_none_has_the_whole_request_refused(
    texts: tuple[str, ...], status: str | None
) -> None:
    refusal = refuse(texts, 100, 64)
    if status is None:
        assert refusal is None
    else:
        assert refusal is not None and refusal.status == 400 and status in refusal.message


def test_all_texts_together_may_not_be_too_long() -> None:
    assert refuse(("a" * 40_000,) * 30, 100, 0) is None
    refusal = refuse(("a" * 40_000,) * 31, 100, 0)
    assert refusal is not None and refusal.code == "max_tokens_per_request"
