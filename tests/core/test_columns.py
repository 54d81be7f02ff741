"""The buffers of columns, against those that pyarrow makes of the same values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import _core


class Cell(msgspec.Struct):
    value: Any


def packed(pack: Callable[[Any, Any], Any], values: Iterable[Any]) -> Any:
    return pack(tuple(map(Cell, values)), _core.Field(Cell, "value"))


def column(pack: Callable[[Any, Any], Any], type_: pa.DataType, values: list[Any]) -> pa.Array:
    nulls, *buffers = packed(pack, values)
    found = pa.Array.from_buffers(
        type_, len(values), [None if one is None else pa.py_buffer(one) for one in buffers], nulls
    )
    found.validate(full=True)
    return found


def check(pack: Callable[[Any, Any], Any], values: list[Any], expected: pa.Array) -> None:
    found = column(pack, expected.type, values)
    assert found.equals(expected)
    assert found.null_count == expected.null_count
    assert (found.buffers()[0] is None) == (not expected.null_count)


@given(st.lists(st.none() | st.integers(-(2**70), 2**70)))
def test_whole_numbers(values: list[int | None]) -> None:
    near = [None if one is None else max(-(2**63), min(2**63 - 1, one)) for one in values]
    check(_core.pack_int64, values, pa.array(near, pa.int64()))


@given(st.lists(st.none() | st.floats(allow_nan=False) | st.integers(-(2**53), 2**53)))
def test_numbers(values: list[float | None]) -> None:
    check(_core.pack_float64, values, pa.array(values, pa.float64()))


@given(st.lists(st.none() | st.booleans()))
def test_booleans(values: list[bool | None]) -> None:
    check(_core.pack_bool, values, pa.array(values, pa.bool_()))


@given(st.lists(st.none() | st.text(st.characters(codec=None, categories=None))))
def test_texts_with_surrogates_too(values: list[str | None]) -> None:
    mended = [one and one.encode("utf-8", "replace").decode() for one in values]
    check(_core.pack_text, values, pa.array(mended, pa.string()))


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 256])
def test_bits_after_the_last_are_unset(count: int) -> None:
    _, _, data = packed(_core.pack_bool, (True,) * count)
    assert int.from_bytes(data, "little") == 2**count - 1
    _, validity, _ = packed(_core.pack_bool, (None, *(True,) * count))
    assert validity is not None
    assert int.from_bytes(validity, "little") == 2 ** (count + 1) - 2


@pytest.mark.parametrize(
    ("pack", "value"),
    [
        (_core.pack_int64, "1"),
        (_core.pack_int64, 1.5),
        (_core.pack_float64, "1"),
        (_core.pack_bool, 1),
        (_core.pack_text, b"bytes"),
    ],
)
def test_what_is_of_another_type_is_refused(pack: Callable[[Any, Any], Any], value: Any) -> None:
    with pytest.raises(TypeError):
        packed(pack, [value])


def test_more_text_than_offsets_can_count_is_refused() -> None:
    with pytest.raises(OverflowError, match="more than 2147483647 bytes"):
        packed(_core.pack_text, ("x" * (1 << 24),) * 128)


def test_a_text_that_changes_while_it_is_packed_is_refused() -> None:
    cells = (Cell("ab"), Cell(None), Cell("c"))

    class Odd(str):
        def encode(self, *_: Any, **__: Any) -> bytes:
            cells[0].value = "much longer than it was"
            return b"?"

    cells[1].value = Odd("\ud800")
    with pytest.raises(RuntimeError, match="value was changed"):
        _core.pack_text(cells, _core.Field(Cell, "value"))
