"""Needles: what is found is what is there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core import twins
from penstock._core import Needles

FEW = st.text("ab", min_size=2, max_size=6).map(str.encode)
ANY = st.binary(min_size=2, max_size=400)


@pytest.mark.parametrize("made", [Needles, twins.Needles], ids=["core", "twin"])
@pytest.mark.parametrize("needle", [b"ab", b"sk-0123456789", b"\0\0\0", bytes(range(256)) * 3])
def test_a_needle_is_found_at_the_beginning_in_the_middle_and_at_the_end(
    made: Any, needle: bytes
) -> None:
    needles = made([b"x" * 300, needle])
    for before in range(8):
        for after in (b"", b"?" * 5):
            assert needles.within(b"?" * before + needle + after)
            assert not needles.within(b"?" * before + needle[:-1] + after)
            assert not needles.within(b"?" * before + needle[1:] + after)


def test_a_longer_needle_is_not_sought_beyond_the_end() -> None:
    assert not Needles([b"xy", b"ab\0"]).within(b"..ab")  # a zero follows any bytes in memory


@given(st.lists(FEW, max_size=4), st.text("ab", max_size=40).map(str.encode))
@example([], b"ab")
@example([b"aab"], b"aaab")
def test_few_letters_are_looked_through_as_by_the_twin(
    needles: list[bytes], haystack: bytes
) -> None:
    assert Needles(needles).within(haystack) == twins.Needles(needles).within(haystack)


@given(st.lists(ANY, min_size=1, max_size=3), st.binary(max_size=400), st.integers(0, 400))
def test_any_bytes_are_looked_through_as_by_the_twin(
    needles: list[bytes], haystack: bytes, at: int
) -> None:
    hidden = haystack[:at] + needles[-1] + haystack[at:]
    assert Needles(needles).within(hidden)
    assert Needles(needles).within(haystack) == twins.Needles(needles).within(haystack)


@pytest.mark.parametrize("made", [Needles, twins.Needles], ids=["core", "twin"])
@pytest.mark.parametrize("needles", [[b""], [b"ab", b"c"], ["ab"], [bytearray(b"ab")]])
def test_what_is_too_short_or_no_bytes_is_refused(made: Any, needles: list[Any]) -> None:
    with pytest.raises(ValueError, match="at least two"):
        made(needles)


HEADS = st.text("ab\xff", max_size=6).map(str.encode)
BODIES = st.text("ab\\u0278", max_size=20).map(str.encode)


@given(st.lists(FEW, max_size=3), BODIES, HEADS)
@example([], b"\\u0061", b"\xff")
@example([b"zz"], b"\\u0061", b"")
@example([b"zz"], b"\\u006", b"")
@example([b"zz"], b"\\u0\\u007a", b"")
@example([b"zz"], b"\\u00e9", b"")
@example([b"zz"], b"\\u0010\\u0080", b"")
@example([b"zz"], b"", b"\xff")
@example([b"ab"], b"ab", b"")
@example([b"ab"], b"", b"ab")
def test_plainly_absent_is_what_is_neither_in_the_body_nor_in_the_head_nor_escaped(
    needles: list[bytes], body: bytes, head: bytes
) -> None:
    core, twin = Needles(needles), twins.Needles(needles)
    assert core.plainly_absent(body, head) == twin.plainly_absent(body, head)
