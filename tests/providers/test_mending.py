from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.providers.mending import counts, mended, parsed


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        (b'{"a":NaN,"b":-Infinity}', {"a": None, "b": None}),
        (b'{"a":"\x01\n"}', {"a": "\x01\n"}),
        (b'{"a":"\xff"}', {"a": "\ufffd"}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a":1', None),
        (b"", None),
        (b"1" * 5000, None),
        (b"[" * 100_000, None),
    ],
)
def test_complete_json_is_read_though_it_is_odd_and_nothing_else(raw: bytes, value: object) -> None:
    assert parsed(raw) == value


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    made = mended(b'{"a":"x\\ud83d"}')
    assert made is not None
    assert json.loads(made)["a"] == "x\ufffd"


def test_what_is_odd_beside_the_answer_is_dropped() -> None:
    odd = {"model": 5, "usage": "none", "choices": [{"finish_reason": 1, "text": "t"}, "odd"]}
    made = mended(json.dumps(odd).encode())
    assert made is not None
    assert json.loads(made) == {
        "model": None,
        "usage": {},
        "choices": [{"finish_reason": None, "text": "t"}, "odd"],
    }


@pytest.mark.parametrize(
    ("content", "plain"),
    [
        ("a", "a"),
        (None, None),
        ({"topic": "é"}, '{"topic": "é"}'),
        (3, 3),  # no answer: see what is a bad response
        (["a", {"type": "text", "text": None}], [{"text": "a"}, {"type": "text", "text": ""}]),
    ],
)
def test_words_are_kept_in_whichever_shape_they_came(content: Any, plain: Any) -> None:
    """A gateway's: parsed already, or in another API's parts. Refused, they were bought again."""
    message = {"content": content, "tool_calls": {"id": "c"}, "refusal": {"odd": 1}}
    made = mended(json.dumps({"choices": [{"message": message}]}).encode())
    assert made is not None
    (choice,) = json.loads(made)["choices"]
    assert choice["message"] == {"content": plain, "tool_calls": [{"id": "c"}], "refusal": None}


def test_only_counts_count() -> None:
    usage = {
        "prompt_tokens": 12.0,
        "completion_tokens": -1,
        "total_tokens": 2**60,
        "cost": 0.5,
        "queue": None,
        "flag": True,
        "name": "x",
        "prompt_tokens_details": {"cached_tokens": 3, "odd": "y"},
        "completion_tokens_details": None,
    }
    assert counts(usage) == {
        "prompt_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {},
    }


@pytest.mark.parametrize("raw", [b"[]", b"1", b"null", b"", b'{"a":'])
def test_what_is_no_complete_object_can_not_be_mended(raw: bytes) -> None:
    assert mended(raw) is None


@given(st.binary() | st.integers(1, 2000).map(lambda n: b'{"a":' + b"[" * n + b"]" * n + b"}"))
def test_mending_gives_strict_json_or_none(raw: bytes) -> None:
    made = mended(raw)
    assert made is None or isinstance(json.loads(made.decode()), dict)
