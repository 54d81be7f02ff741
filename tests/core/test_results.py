"""What a record's end takes, as far as the core has it: sizes, and what is counted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.limiters import slab
from penstock._core import Field, Outcomes, Sizes
from penstock.providers.provider import Answer

CELLS = (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ((100, 30, 50, 20), [70, 30, 30, 20]),
        ((None, None, None, None), [0, 0, 0, 0]),
        ((7, None, 5, None), [7, 0, 5, 0]),
        ((10, 30, 5, 20), [0, 30, 0, 20]),
        ((10, -(2**63), 5, -1), [10, 0, 5, 0]),
    ],
)
def test_a_part_is_taken_from_its_whole_and_never_more_than_that(
    said: tuple[int | None, ...], parts: list[int]
) -> None:
    counted = slab()
    inputs, cached, outputs, reasoning = said
    answer = Answer(
        input_tokens=inputs,
        cached_input_tokens=cached,
        output_tokens=outputs,
        reasoning_tokens=reasoning,
    )
    Outcomes(counted, Answer, CELLS).spent(answer)
    assert counted.counters()[:6] == [0, 0, *parts]
    Outcomes(counted, Answer, CELLS).ended(answer, False)
    assert counted.counters()[:6] == [1, 0, *(2 * part for part in parts)]


def test_a_record_counts_by_how_it_ended() -> None:
    counted = slab()
    outcomes = Outcomes(counted, Answer, CELLS)
    for failed in (True, False, True):
        outcomes.ended(None, failed)
    assert counted.counters()[:6] == [1, 2, 0, 0, 0, 0]


class Texts(msgspec.Struct):
    one: str | None = None
    other: str | None = None
    number: int = 5


class More(Texts):
    third: str | None = None


def test_a_struct_weighs_what_its_texts_have() -> None:
    sizes = Sizes(10, (Field(Texts, "one"), Field(Texts, "other")))
    assert sizes.of(Texts()) == 10
    assert sizes.of(Texts("abc", "é")) == 14
    assert sizes.of(More("abc", None, 7, "ignored")) == 13


@pytest.mark.parametrize(
    ("owner", "name"), [(Texts, "none"), (Texts, "__init__"), (Texts(), "one"), (dict, "keys")]
)
def test_what_is_no_field_is_none(owner: Any, name: str) -> None:
    with pytest.raises(TypeError, match="has no field"):
        Field(owner, name)


def test_a_field_is_read_of_its_own_struct_alone() -> None:
    class Alike(msgspec.Struct):
        one: str | None = None
        other: str | None = None
        number: int = 5

    with pytest.raises(TypeError, match=r"has no Texts\.one"):
        Sizes(0, (Field(Texts, "one"),)).of(Alike("abc"))
    deleted = Texts("abc")
    del deleted.one
    with pytest.raises(TypeError, match=r"has no Texts\.one"):
        Sizes(0, (Field(Texts, "one"),)).of(deleted)
