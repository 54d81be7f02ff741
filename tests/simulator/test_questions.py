from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.simulator.questions import (
    Question,
    chat_question,
    completion_question,
    embedding_question,
    read_question,
    response_question,
)
from penstock.simulator.refusals import Refusal


def encode(**fields: Any) -> bytes:
    return json.dumps({"model": "m", **fields}).encode()


def message(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([message("system", "be kind"), message("user", "hello")], "hello"),
        ([message("user", "one"), message("assistant", "yes"), message("user", "two")], "two"),
        ([message("user", "one"), message("assistant", "yes")], "one"),
        ([message("system", "alone")], "alone"),
        ([message("user", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])], "ab"),
        ([message("user", [{"type": "image_url", "image_url": {"url": "x"}}])], ""),
        ([message("user", None)], ""),
    ],
)
def test_a_chat_s_text_is_its_last_user_message(messages: list[Any], text: str) -> None:
    assert chat_question(encode(messages=messages)).texts == (text,)


def test_a_chat_s_options_are_read() -> None:
    question = chat_question(
        encode(
            messages=[message("user", "12345")],
            max_tokens=9,
            stream=True,
            stream_options={"include_usage": True},
            response_format={"type": "json_schema", "json_schema": {}},
            temperature=0.5,
        )
    )
    assert question == Question("m", ("12345",), 2, 9, True, True, True)


def test_the_newer_name_of_max_tokens_wins() -> None:
    body = encode(messages=[message("user", "x")], max_tokens=9, max_completion_tokens=5)
    assert chat_question(body).max_tokens == 5


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ("one", ("one",)),
        (["one", "two"], ("one", "two")),
        ([11, 22], ("11 22",)),
        ([[11, 22], [33]], ("11 22", "33")),
    ],
)
def test_inputs_are_texts_or_tokens_one_or_many(given: Any, texts: tuple[str, ...]) -> None:
    assert embedding_question(encode(input=given)).texts == texts
    assert completion_question(encode(prompt=given)).texts == texts


def test_a_response_s_input_is_a_text_or_a_list_of_items() -> None:
    items = [
        message("user", [{"type": "input_text", "text": "hello"}]),
        {"type": "function_call_output", "call_id": "c", "output": "4"},
    ]
    assert response_question(encode(input="hello")).texts == ("hello",)
    question = response_question(
        encode(input=items, max_output_tokens=3, text={"format": {"type": "json_object"}})
    )
    assert (question.texts, question.max_tokens, question.wants_json) == (("hello",), 3, True)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "could not be parsed"),
        (b"{", "could not be parsed"),
        (b"[]", "Expected"),
        (encode(), "messages"),
        (encode(messages=[]), "messages"),
        (encode(messages=[message("user", 5)]), "content"),
        (encode(messages=[message("user", "x")], max_tokens=0), "max_tokens"),
        (b'{"messages":[{"role":"user","content":"x"}]}', "model"),
        (b'{"model":"\xff"}', "could not be parsed"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused_with_400(body: bytes, said: str) -> None:
    refusal = read_question(chat_question, body)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 400 and said in refusal.message


def test_no_inputs_at_all_are_refused() -> None:
    assert isinstance(read_question(embedding_question, encode(input=[])), Refusal)
    assert isinstance(read_question(completion_question, encode(prompt=[])), Refusal)
