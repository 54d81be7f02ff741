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
INT64_MAX: Final = 2**63 - 1

_TYPES: Final = tuple(RESULT_SCHEMA.types)
_REPEATED: Final = frozenset({str, int, bool, type(None)})
_as_tuple: Callable[[Result], tuple[Any, ...]] = msgspec.structs.astuple


class ResultRows(list[Result]):
    """Results on their way to a batch: `append` each, then `take` them all."""

    size_bytes = 0  # of the batch that they would make, roughly

    def append(self, result: Result) -> None:
        super().append(result)
        size = ROW_BYTES
        if result.output is not None:
            size += len(result.output)
        if result.reasoning is not None:
            size += len(result.reasoning)
        if result.tool_calls is not None:
            size += len(result.tool_calls)
        if result.response is not None:
            size += len(result.response)
        if result.error_message is not None:
            size += len(result.error_message)
        self.size_bytes += size

    def take(self) -> list[Result]:
        """All that was appended, in that order; none is left afterwards."""
        results, self.size_bytes = self[:], 0
        self.clear()
        return results


def batch_of(results: Sequence[Result]) -> pa.RecordBatch:
    """Results as a batch of `RESULT_SCHEMA`."""
    columns = list(zip(*map(_as_tuple, results), strict=True)) or [()] * len(RESULT_SCHEMA)
    return pa.RecordBatch.from_arrays(
        [column_of(values, type_) for values, type_ in zip(columns, _TYPES, strict=True)],
        schema=RESULT_SCHEMA,
    )


def column_of(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    """One column; a value that Arrow can't hold is mended rather than losing a paid answer."""
    try:
        if is_one_value(values):
            # Of the 27 columns some 17 have one value throughout, which to see and to repeat takes
            # a third of the time that converting each takes.
            return pa.repeat(pa.scalar(values[0], type_), len(values))
        return pa.array(values, type_)
    except (UnicodeEncodeError, OverflowError, pa.ArrowInvalid):
        return pa.array([mended(value) for value in values], type_)


def is_one_value(values: Sequence[Any]) -> bool:
    """Whether all values are the same text, whole number or null.

    The ends are compared first: texts that are long and alike take long to tell apart.
    """
    if not values or values[0] != values[-1] or type(values[0]) not in _REPEATED:
        return False
    return values.count(values[0]) == len(values)


def mended(value: Any) -> Any:
    """`value` without lone surrogates, or cut to 64 bits, which are what Arrow can hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, int):
        return max(-INT64_MAX, min(INT64_MAX, value))
    return value
