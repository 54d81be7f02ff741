"""The columns of a segment, and the builder that turns results into a batch of them.

`RESULT_SCHEMA` is the one schema that segments have; its hash is in every batch, and a reader takes
no other. A change of it is a change of the run directory's format version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import pyarrow as pa
import xxhash

from penstock import _core
from penstock.record import Result

RESULT_SCHEMA: Final = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string()),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("output", pa.string()),
        pa.field("tool_calls", pa.string()),
        pa.field("reasoning", pa.string()),
        pa.field("finish_reason", pa.string()),
        pa.field("truncated", pa.bool_(), nullable=False),
        pa.field("model", pa.string()),
        pa.field("endpoint", pa.string()),
        pa.field("http_status", pa.int64()),
        pa.field("request_id", pa.string()),
        pa.field("input_tokens", pa.int64()),
        pa.field("cached_input_tokens", pa.int64()),
        pa.field("output_tokens", pa.int64()),
        pa.field("reasoning_tokens", pa.int64()),
        pa.field("cost_usd", pa.float64()),
        pa.field("attempts", pa.int64(), nullable=False),
        pa.field("latency_seconds", pa.float64()),
        pa.field("elapsed_seconds", pa.float64()),
        pa.field("finished_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("error_class", pa.string()),
        pa.field("error_message", pa.string()),
        pa.field("request_hash", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("generation", pa.int64(), nullable=False),
        pa.field("response", pa.string()),
    ]
)


def canonical(schema: pa.Schema) -> bytes:
    """A schema as bytes that no version of Arrow changes: names, types, nullability, in order."""
    fields = [(field.name, str(field.type), field.nullable) for field in schema]
    return msgspec.json.encode(fields)


def schema_hash(schema: pa.Schema) -> str:
    return xxhash.xxh3_64_hexdigest(canonical(schema))


RESULT_SCHEMA_HASH: Final = schema_hash(RESULT_SCHEMA)

# What a row takes in a batch besides its long texts: numbers, offsets, validity, short words.
ROW_BYTES: Final = 280
LONG_TEXTS: Final = ("output", "reasoning", "tool_calls", "response", "error_message")

Pack = Callable[[tuple[Result, ...], _core.Field], tuple[Any, ...]]  # nulls, and the buffers

PACKED_BY: Final[dict[pa.DataType, Pack]] = {
    pa.int64(): _core.pack_int64,
    pa.timestamp("us", tz="UTC"): _core.pack_int64,
    pa.float64(): _core.pack_float64,
    pa.bool_(): _core.pack_bool,
    pa.string(): _core.pack_text,
}
_COLUMNS: Final = tuple(
    (field.type, PACKED_BY[field.type], _core.Field(Result, field.name)) for field in RESULT_SCHEMA
)
# How many bytes of a batch a result takes, roughly.
size_of: Final = _core.Sizes(ROW_BYTES, tuple(_core.Field(Result, name) for name in LONG_TEXTS)).of


def batch_of(results: Sequence[Result]) -> pa.RecordBatch:
    """Results as a batch of `RESULT_SCHEMA`.

    A value that Arrow can't hold is mended rather than losing a paid answer. That is a text with a
    lone surrogate, of which a question mark is made, and a number of more than 64 bits, of which
    the nearest is taken that has 64.
    """
    rows = tuple(results)
    return pa.RecordBatch.from_arrays(
        [column_of(rows, *column) for column in _COLUMNS], schema=RESULT_SCHEMA
    )


def column_of(
    results: tuple[Result, ...], type_: pa.DataType, pack: Pack, field: _core.Field
) -> pa.Array:
    """One column of a batch."""
    nulls, *buffers = pack(results, field)
    return pa.Array.from_buffers(type_, len(results), [*map(buffer_of, buffers)], nulls)


def buffer_of(data: bytes | None) -> pa.Buffer | None:
    """What Arrow takes for a buffer; None for the validity of values that are all there."""
    return None if data is None else pa.py_buffer(data)
