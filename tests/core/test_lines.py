"""Lines, told apart and counted."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock._core import count_lines, object_lines, pass_lines

texts = st.text("a{} \t\r\n", max_size=30).map(str.encode)


@given(texts, st.data())
def test_newlines_are_counted_within_bounds(text: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    assert count_lines(text, start, end) == text.count(b"\n", start, end)


@given(texts)
@example(b"{}\n{}")
@example(b"{}\r\n{}\r\n")
@example(b"{}\n\n{}\n")
@example(b"{\n}")
@example(b"")
def test_lines_of_objects_begin_and_end_with_braces(text: bytes) -> None:
    lines = text.removesuffix(b"\n").split(b"\n")
    plain = all(one[:1] == b"{" and one.removesuffix(b"\r")[-1:] == b"}" for one in lines)
    assert object_lines(text) == (len(lines) if plain else 0)


@given(texts, st.data())
def test_lines_are_passed_up_to_the_first_odd_one(text: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    limit = data.draw(st.integers(start, len(text)))
    most, longest = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 9))
    passed, position = 0, start
    while passed < most and position < limit and not text[position : position + 1].isspace():
        end = text.find(b"\n", position, limit)
        if end < 0 or end - position > longest:
            break
        passed, position = passed + 1, end + 1
    assert pass_lines(text, start, limit, most, longest) == (passed, position)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 1), (0, 4)])
def test_what_is_not_within_the_bytes_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="of 3 bytes"):
        count_lines(b"abc", start, end)
    with pytest.raises(ValueError, match="of 3 bytes"):
        pass_lines(b"abc", start, end, 1, 1)
