"""Arrow's nanoseconds as microseconds: Python's times hold no more, and refuse the rest."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as kinds


def in_microseconds(column: pa.Array) -> pa.Array:
    """A column with its nanoseconds dropped, however deep they are; any other as it is."""
    kind = microsecond_type(column.type)
    return column if kind == column.type else column.cast(kind, safe=False)


def microsecond_type(kind: pa.DataType) -> pa.DataType:
    """`kind` with nanoseconds replaced by microseconds."""
    if kinds.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if kinds.is_time64(kind) and kind.unit == "ns":
        return pa.time64("us")
    if kinds.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if kinds.is_struct(kind):
        return pa.struct([coarser(field) for field in kind])
    if kinds.is_list(kind):
        return pa.list_(coarser(kind.value_field))
    if kinds.is_large_list(kind):
        return pa.large_list(coarser(kind.value_field))
    if kinds.is_fixed_size_list(kind):
        return pa.list_(coarser(kind.value_field), kind.list_size)
    if kinds.is_map(kind):
        return pa.map_(coarser(kind.key_field), coarser(kind.item_field))
    return kind


def coarser(field: pa.Field) -> pa.Field:
    return field.with_type(microsecond_type(field.type))
