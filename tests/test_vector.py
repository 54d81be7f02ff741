"""Vectors as text and back."""

from __future__ import annotations

import base64
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vector import bytes_of, is_finite, numbers_of, packed, text_of, unpacked, words

FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1)


@given(FLOATS)
def test_a_vector_comes_back_from_its_text_bit_by_bit(numbers: list[float]) -> None:
    data = packed(numbers)
    assert data == struct.pack(f"<{len(numbers)}f", *numbers)
    assert text_of(data) == base64.b64encode(data).decode()
    assert bytes_of(text_of(data)) == data and unpacked(data).tolist() == numbers
    assert is_finite(data) and numbers_of(text_of(data)) == numbers


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_seen(bad: float) -> None:
    assert not is_finite(struct.pack("<3f", 1.0, bad, -bad))
    assert not is_finite(b"")


@pytest.mark.parametrize("text", ["a", "AAAA=", "AAA\n", "é", "AAA"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # binascii.Error among others
        bytes_of(text)


def test_people_are_shown_how_long_it_is_and_how_it_begins() -> None:
    assert words(text_of(packed([0.5, -0.25]))) == "[2 floats] 0.5, -0.25"
    assert words(text_of(packed([1.0] * 1536))) == "[1,536 floats] 1, 1, 1, 1, ..."
    assert words("no vector") == "no vector"
