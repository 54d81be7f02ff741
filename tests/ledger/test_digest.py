"""The digest of a batch: about its values, whatever buffers they are in."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ledger_rows import answer
from penstock.ledger.digest import compact, digest
from penstock.ledger.schema import RESULT_SCHEMA
from penstock.ledger.schema import batch_of as batch_with

SCHEMA = pa.schema(
    [
        ("n", pa.int64()),
        ("t", pa.string()),
        ("u", pa.string()),
        ("f", pa.float64()),
        ("b", pa.bool_()),
    ]
)
CELLS = st.tuples(
    st.none() | st.integers(-9, 9),
    st.none() | st.text(max_size=3),
    st.none() | st.text(max_size=3),
    st.none() | st.floats(allow_nan=False),
    st.none() | st.booleans(),
)
ROWS = st.lists(CELLS, max_size=20)


def batch_of(rows: list[tuple[object, ...]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [()] * 5
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


@given(ROWS, ROWS, ROWS)
def test_a_slice_has_the_digest_of_a_batch_of_its_rows(
    before: list[tuple[object, ...]],
    rows: list[tuple[object, ...]],
    after: list[tuple[object, ...]],
) -> None:
    sliced = batch_of([*before, *rows, *after]).slice(len(before), len(rows))
    assert digest(sliced) == digest(batch_of(rows)) == digest(compact(sliced))


@given(ROWS, ROWS)
def test_other_values_have_another_digest(
    one: list[tuple[object, ...]], two: list[tuple[object, ...]]
) -> None:
    # As text, since 0.0 == -0.0.
    assert (digest(batch_of(one)) == digest(batch_of(two))) == (repr(one) == repr(two))


def test_a_null_is_neither_zero_nor_empty() -> None:
    null, zero = (None, None, None, None, None), (0, "", "", 0.0, False)
    assert digest(batch_of([null, zero])) != digest(batch_of([zero, null]))
    assert digest(batch_of([null])) != digest(batch_of([zero]))


def test_text_that_moves_to_the_next_row_or_column_is_seen() -> None:
    rows = [(1, "ab", "c", 0.0, True), (1, "", "", 0.0, True)]
    row_moved = [(1, "a", "c", 0.0, True), (1, "b", "", 0.0, True)]
    column_moved = [(1, "a", "bc", 0.0, True), (1, "", "", 0.0, True)]
    assert len({digest(batch_of(one)) for one in (rows, row_moved, column_moved)}) == 3


def test_a_bitmap_that_says_all_valid_is_as_good_as_none() -> None:
    values = pa.array([1, 2, 3])
    bitmap = pa.py_buffer(b"\xff")
    with_bitmap = pa.Array.from_buffers(pa.int64(), 3, [bitmap, values.buffers()[1]])
    schema = pa.schema([("n", pa.int64())])
    batches = [pa.RecordBatch.from_arrays([one], schema=schema) for one in (values, with_bitmap)]
    assert digest(batches[0]) == digest(batches[1])


def test_bits_after_the_last_row_do_not_count() -> None:
    values = pa.array([1, None, 3]).buffers()[1]
    schema = pa.schema([("n", pa.int64())])
    batches = [
        pa.RecordBatch.from_arrays(
            [pa.Array.from_buffers(pa.int64(), 3, [pa.py_buffer(bitmap), values])], schema=schema
        )
        for bitmap in (b"\x05", b"\xfd")
    ]
    assert digest(batches[0]) == digest(batches[1])


@pytest.mark.parametrize("name", RESULT_SCHEMA.names)
def test_a_flipped_bit_in_any_column_of_a_segment_shows(name: str) -> None:
    """A column of booleans has less than a byte a row, and once was not looked at."""
    batch = batch_with([answer(0, output="x"), answer(1, output="y")])
    at = batch.schema.get_field_index(name)
    column = batch.column(at)
    filled = column if column.null_count == 0 else filler(column.type, batch.num_rows)
    buffers = filled.buffers()
    data = bytearray(buffers[-1])
    data[0] ^= 1
    flipped = pa.Array.from_buffers(filled.type, len(filled), [*buffers[:-1], pa.py_buffer(data)])
    one, two = (batch.set_column(at, batch.schema[at], each) for each in (filled, flipped))
    assert digest(one) != digest(two)


def filler(kind: pa.DataType, count: int) -> pa.Array:
    text = pa.types.is_string(kind)
    return pa.array(["a" if text else 1] * count, pa.string() if text else pa.int64()).cast(kind)


@given(st.binary(max_size=9), st.binary(max_size=9))
def test_the_head_counts(one: bytes, two: bytes) -> None:
    batch = batch_of([])
    assert (digest(batch, one) == digest(batch, two)) == (one == two)
