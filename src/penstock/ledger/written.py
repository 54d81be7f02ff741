"""What the supervisor is told of a batch once it is durable: enough to count it, and no more."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pyarrow as pa

from penstock.ledger.mark import Mark, SegmentName, ShardMark
from penstock.ledger.schema import RESULT_SCHEMA
from penstock.record import BOUGHT, DUPLICATE, FAILED, REUSED

_INT64: Final = pa.int64()
INT64_MAX: Final = (1 << 63) - 1
_FAILED: Final = pa.scalar(FAILED)
_BOUGHT: Final = pa.scalar(BOUGHT)


class Spent(msgspec.Struct):
    """Sums over results: what was used and paid."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float = 0.0
    attempts: int = 0
    reused: int = 0  # results that are an earlier run's
    duplicate: int = 0  # and those that are another row's

    def add(self, other: Spent, times: int = 1) -> None:
        """Add another sum; `times` -1 takes it away."""
        self.input_tokens += times * other.input_tokens
        self.cached_input_tokens += times * other.cached_input_tokens
        self.output_tokens += times * other.output_tokens
        self.reasoning_tokens += times * other.reasoning_tokens
        self.cost_usd += times * other.cost_usd
        self.attempts += times * other.attempts
        self.reused += times * other.reused
        self.duplicate += times * other.duplicate


# The sums that are of columns of the same name, and where those are: by name it takes longer.
SUMMED: Final = {
    name: RESULT_SCHEMA.get_field_index(name)
    for name in Spent.__struct_fields__
    if name not in (REUSED, DUPLICATE)
}


class Written(msgspec.Struct, frozen=True):
    """A batch that is durable. `rows` and the values of `failed` are int64 buffers."""

    segment: str  # the file's name
    batch: int  # its number in the segment, from 0
    start_bytes: int  # where it begins in the file
    end_bytes: int  # where it ends: the verified length up to it
    generation: int
    rows: bytes
    failed: dict[str, bytes]  # error class -> rows
    spent: Spent
    shards: list[ShardMark]


def written(batch: pa.RecordBatch, mark: Mark, start_bytes: int, end_bytes: int) -> Written:
    """What is told of `batch`."""
    return Written(
        segment=str(SegmentName(mark.epoch, mark.worker, mark.segment)),
        batch=mark.batch,
        start_bytes=start_bytes,
        end_bytes=end_bytes,
        generation=mark.generation,
        rows=int64s(batch.column("row")),
        failed=failures(batch),
        spent=spent(batch),
        shards=mark.shards,
    )


def failures(batch: pa.RecordBatch) -> dict[str, bytes]:
    """The rows that failed, by error class."""
    import pyarrow.compute as pc  # late: nothing is written before the first request

    failed = pc.equal(batch.column("outcome"), _FAILED)
    if not failed.true_count:
        return {}
    by_class: dict[str, list[int]] = {}
    rows = batch.column("row").filter(failed).to_pylist()
    classes = batch.column("error_class").filter(failed).to_pylist()
    for row, error_class in zip(rows, classes, strict=True):
        by_class.setdefault(error_class or "unknown", []).append(row)
    return {name: int64s(pa.array(rows, pa.int64())) for name, rows in by_class.items()}


def spent(batch: pa.RecordBatch) -> Spent:
    """The sums of a batch; a null adds nothing."""
    sums = {name: total(batch.column(at)) for name, at in SUMMED.items()}
    return Spent(**sums, **unbought(batch.column("source")))


def total(column: pa.Array) -> Any:
    """The sum of a column's numbers."""
    import pyarrow.compute as pc

    nulls = column.null_count
    if nulls == len(column):
        return 0
    if nulls or column.type != _INT64:
        return pc.sum(column).as_py()
    return min(sum(numbers(column)), INT64_MAX)  # a tenth of what Arrow takes to begin


def unbought(sources: pa.Array) -> dict[str, int]:
    """How many results were taken from elsewhere, by where from; empty for none."""
    import pyarrow.compute as pc

    if pc.equal(sources, _BOUGHT).true_count == len(sources):
        return {}
    return {name: pc.equal(sources, name).true_count for name in (REUSED, DUPLICATE)}


def int64s(column: pa.Array) -> bytes:
    """The values of an int64 column without nulls."""
    return bytes(numbers(column))


def numbers(column: pa.Array) -> memoryview:
    """The same, as they lie there."""
    start = column.offset * 8
    return memoryview(column.buffers()[1])[start : start + len(column) * 8].cast("q")
