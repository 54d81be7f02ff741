"""Plain chat completions, against what the patient reader says of them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock._core import PlainChats
from penstock.providers.openai_answers import CHAT, PLAIN, count, read_chat
from penstock.providers.openai_bodies import ChatBody, Choice, Details, Message, Usage
from penstock.providers.provider import Answer, BadResponse
from penstock.providers.shape import Shape

COUNTS = {"prompt_tokens": 9, "completion_tokens": 5}
USAGE = {**COUNTS, "prompt_tokens_details": {"cached_tokens": 4}}


def chat(message: Any = None, finish_reason: Any = "stop") -> dict[str, Any]:
    """A whole chat completion."""
    choice = {"message": message or {"content": "hello"}, "finish_reason": finish_reason}
    return {"model": "m-1", "choices": [choice], "usage": USAGE}


DETAILS = Details.__struct_fields__
few = st.none() | st.sampled_from([0, "", [], {}, "x", "length", 7, ["a"], {"a": 1}])
counts = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from([7, 7, 7, 0, None])
        for name in (
            *("prompt_tokens", "completion_tokens", "prompt_cache_hit_tokens"),
            *("input_tokens", "output_tokens"),
        )
    }
    | {
        name: st.none() | st.dictionaries(st.sampled_from(DETAILS), st.none() | st.integers(0, 3))
        for name in (
            *("prompt_tokens_details", "completion_tokens_details"),
            *("input_tokens_details", "output_tokens_details"),
        )
    },
)
messages = st.fixed_dictionaries(
    {"content": st.sampled_from(["a text", "", None])},
    optional=dict.fromkeys(("tool_calls", "function_call", "reasoning_content", "reasoning"), few),
)
choices = st.fixed_dictionaries(
    {"message": st.none() | messages},
    optional={
        "finish_reason": st.sampled_from([None, "stop", "length"]),
        "error": few,
    },
)
bodies = st.fixed_dictionaries(
    {"choices": choices.map(lambda one: [one]) | st.lists(choices, max_size=2)},
    optional={"model": st.none() | st.just("m"), "usage": st.none() | counts, "error": few},
)


@settings(max_examples=400)
@given(bodies)
@example(chat())
@example(chat(finish_reason="length"))
@example(chat({"content": "x", "tool_calls": [{"id": 1}]}))
@example({**chat(), "usage": {"prompt_tokens": 0, "completion_tokens": 0}})
@example({**chat(), "usage": {**COUNTS, "prompt_cache_hit_tokens": 0}})
@example({**chat(), "usage": {**USAGE, "prompt_cache_hit_tokens": 0}})
@example({**chat(), "usage": {**USAGE, "prompt_tokens_details": {}}})
@example({**chat(), "error": {"message": "overloaded", "code": 503}})
@example({**chat(), "choices": [{**chat()["choices"][0], "error": {"message": "cut off"}}]})
def test_a_plain_chat_says_what_any_reader_finds_in_it(body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()
    patient = Shape(ChatBody, read_chat, count)

    def said(shape: Shape) -> Any:
        try:
            return shape.answer(raw)
        except BadResponse as error:
            return str(error)

    assert said(CHAT) == said(patient)


def test_what_nearly_all_servers_say_is_plain() -> None:
    decoder = msgspec.json.Decoder(ChatBody)
    for body in (chat(), chat({"content": "x", "tool_calls": [], "reasoning_content": None})):
        assert PLAIN.answer(decoder.decode(json.dumps(body))) is not None
    assert PLAIN.answer(decoder.decode(json.dumps(chat({"content": None})))) is None


def test_an_answer_whose_fields_have_moved_is_refused() -> None:
    class Moved(Answer):
        pass

    PlainChats(Moved, "length", ChatBody, Choice, Message, Usage, Details)

    class Others(msgspec.Struct):
        text: str | None = None

    with pytest.raises(TypeError, match="begins with other fields than output, finish_reason"):
        PlainChats(Others, "length", ChatBody, Choice, Message, Usage, Details)
