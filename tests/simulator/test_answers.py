from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.simulator.answers import (
    Reply,
    chat_body,
    completion_body,
    echo,
    make_reply,
    response_body,
)
from penstock.simulator.draws import Length
from penstock.simulator.questions import Question
from penstock.simulator.settings import Settings

texts = st.text(st.characters(exclude_categories=("Cs",)))


def reply(*said: str, finish_reason: str = "stop") -> Reply:
    return Reply("id1", 7, "m", said, finish_reason, 10, 4, 20, 5)


@given(texts, st.integers(1, 200))
def test_an_answer_begins_with_its_record_s_whole_text_and_is_about_as_long_as_drawn(
    text: str, tokens: int
) -> None:
    said = echo(text, tokens, wants_json=False)
    assert said.startswith(f"echo: {text}")
    assert len(said) >= tokens * 4 - 10
    assert len(said) <= max(tokens * 4, len(text) + 6)


@given(texts)
def test_who_asks_for_json_gets_an_object_with_the_text(text: str) -> None:
    assert json.loads(echo(text, 50, wants_json=True)) == {"echo": text}


def test_tokens_are_stated_as_drawn_for_each_text() -> None:
    settings = Settings(cached_share=0.5, reasoning_share=0.25)
    made = make_reply(settings, Question("m", ("a", "b"), 11), Length(8, "length"), 0, "i", 1)
    assert (made.prompt_tokens, made.cached_tokens) == (11, 5)
    assert (made.output_tokens, made.reasoning_tokens) == (16, 4)
    assert made.finish_reason == "length"


def test_a_chat_completion_has_openai_s_shape() -> None:
    body = json.loads(chat_body(reply("hello", finish_reason="length")))
    assert body["object"] == "chat.completion" and body["model"] == "m" and body["created"] == 7
    [choice] = body["choices"]
    assert choice["message"]["content"] == "hello" and choice["finish_reason"] == "length"
    assert body["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "total_tokens": 30,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }


def test_a_completion_has_a_choice_for_each_prompt() -> None:
    body = json.loads(completion_body(reply("one", "two")))
    assert [(one["index"], one["text"]) for one in body["choices"]] == [(0, "one"), (1, "two")]


@pytest.mark.parametrize(
    ("finish_reason", "status", "details"),
    [("stop", "completed", None), ("length", "incomplete", {"reason": "max_output_tokens"})],
)
def test_a_response_says_whether_it_is_complete(
    finish_reason: str, status: str, details: dict[str, str] | None
) -> None:
    body = json.loads(response_body(reply("hello", finish_reason=finish_reason)))
    assert (body["status"], body["incomplete_details"]) == (status, details)
    assert body["output"][0]["content"][0]["text"] == "hello"
    assert body["usage"]["output_tokens_details"] == {"reasoning_tokens": 5}
