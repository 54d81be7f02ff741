"""Requests and answers of any JSON: written as they are, cut never taken for whole."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import JobError
from penstock.job import Job, nested
from penstock.providers.openai import OpenAI
from penstock.providers.provider import BadResponse, UnrenderableRecord
from penstock.record import Record
from torture.conftest import Figures
from torture.fuzz.answers import DIALECT, PATHS, bodies
from torture.test_fuzz import SETTINGS

SCALARS: Final = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
JSON: Final = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES: Final = st.text("abc_", min_size=1, max_size=3)
TREES: Final = st.recursive(
    st.integers(),
    lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(("number", "body"), bodies())
def test_a_body_that_is_cut_anywhere_is_no_answer(
    number: int, body: dict[str, Any], figures: Figures
) -> None:
    data = json.dumps(body).encode()
    for size in range(len(data)):
        with pytest.raises(BadResponse):
            DIALECT.answer(PATHS[number], data[:size])
    figures(fuzz_examples=len(data))


def test_any_row_is_a_request_or_a_refusal_and_values_are_sent_as_they_are(
    figures: Figures, long: bool
) -> None:
    dialects = [
        OpenAI(Job(model="m", prompt="{{ a }}")),
        OpenAI(Job(model="m", prompt="{{ a | tojson }}")),
        OpenAI(Job(model="m", messages="a")),
    ]
    done = 0

    @settings(max_examples=3_000 if long else 100, **SETTINGS)
    @given(
        JSON
        | st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=3), min_size=1, max_size=3)
    )
    def play(value: Any) -> None:
        nonlocal done
        done += 1
        for dialect in dialects:
            try:
                request = dialect.request(Record(0, "in.jsonl:1", fields={"a": value}))
            except UnrenderableRecord:
                continue
            messages = json.loads(request.body)["messages"]
            if dialect.conversation.column:
                assert len(messages) == len(value)
            elif isinstance(value, str) and dialect is dialects[0]:
                assert messages == [{"role": "user", "content": value}]

    play()
    figures(fuzz_examples=done)


def flat(tree: dict[str, Any], before: str = "") -> dict[str, Any]:
    """A tree with dotted keys."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        whole = before + name
        found.update(flat(value, whole + ".") if isinstance(value, dict) else {whole: value})
    return found


def test_dotted_parameters_nest_as_they_were(figures: Figures, long: bool) -> None:
    done = 0

    @settings(max_examples=3_000 if long else 100, **SETTINGS)
    @given(
        st.dictionaries(NAMES, TREES, max_size=4),
        st.dictionaries(st.text("a.", max_size=6), JSON, max_size=4),
    )
    def play(tree: dict[str, Any], odd: dict[str, Any]) -> None:
        nonlocal done
        done += 1
        assert nested(flat(tree)) == tree
        try:
            nested(odd)
        except JobError as error:
            assert error.what.startswith("--param")

    play()
    figures(fuzz_examples=done)
