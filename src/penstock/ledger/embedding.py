"""The column of vectors, `embedding`: in the output, lists of 32-bit floats.

In the ledger they are text, as `penstock.vector` has it, in the place of an answer's: segments have
one schema for all jobs. How long they are is what the job says, else what the first one says;
should there be others, the column is one of lists of any length.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa

from penstock.record import SUCCEEDED
from penstock.sources.columns import Misfit
from penstock.vector import FLOAT_BYTES, bytes_of, text_of

if TYPE_CHECKING:
    from penstock.ledger.copies import Copies  # which a run does not need before its end

NAME: Final = "embedding"
ANY_LENGTH: Final = "list<float>"


class Embedding(msgspec.Struct, frozen=True):
    """The column; `dimensions` is None where vectors may be of any length."""

    dimensions: int | None = None

    @property
    def field(self) -> pa.Field:
        return pa.field(NAME, pa.list_(pa.float32(), self.dimensions or -1))

    def column(self, results: pa.RecordBatch) -> pa.Array:
        """The vectors of a batch of results. Raises Misfit for one of another length."""
        vectors = [
            None if text is None or outcome != SUCCEEDED else bytes_in(text)
            for outcome, text in zip(
                results["outcome"].to_pylist(), results["output"].to_pylist(), strict=True
            )
        ]
        if self.dimensions is None:
            return of_any_length(vectors)
        size = self.dimensions * FLOAT_BYTES
        for place, vector in enumerate(vectors):
            if vector is not None and len(vector) != size:
                raise Misfit(NAME, results["row"][place].as_py(), ANY_LENGTH)
        return of_one_length(vectors, self.dimensions)


def bytes_in(text: str) -> bytes | None:
    """The vector in a text; None where it is none, but the answer of a generation that asked for
    something else."""
    try:
        data = bytes_of(text)
    except ValueError:
        return None
    return data if data and len(data) % FLOAT_BYTES == 0 else None


def of_one_length(vectors: list[bytes | None], dimensions: int) -> pa.Array:
    """A list array of one length; what stands under a null is zeros."""
    nothing = bytes(dimensions * FLOAT_BYTES)
    values = floats(b"".join(nothing if one is None else one for one in vectors))
    mask = pa.array([one is None for one in vectors], pa.bool_())
    return pa.FixedSizeListArray.from_arrays(values, dimensions, mask=mask)


def of_any_length(vectors: list[bytes | None]) -> pa.Array:
    """A list array."""
    offsets: list[int | None] = []
    end = 0
    for one in vectors:
        offsets.append(None if one is None else end)
        end += len(one or b"") // FLOAT_BYTES
    offsets.append(end)
    values = floats(b"".join(one or b"" for one in vectors))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def floats(data: bytes) -> pa.Array:
    """32-bit floats as an array; Arrow's are in the same order on every machine that it runs on."""
    return pa.Array.from_buffers(pa.float32(), len(data) // FLOAT_BYTES, [None, pa.py_buffer(data)])


def texts_of(column: pa.Array) -> pa.Array:
    """A column of vectors, of an output, as the ledger has them."""
    flat = column.cast(pa.list_(pa.float32()))
    return pa.array(
        [None if not one.is_valid else text_of(bytes_at(one.values)) for one in flat], pa.string()
    )


def bytes_at(values: pa.Array) -> bytes:
    """The floats of one vector, which is a part of a longer array."""
    _, data = values.buffers()
    start = values.offset * FLOAT_BYTES
    return bytes(memoryview(data)[start : start + len(values) * FLOAT_BYTES])


def embedding_for(job: Mapping[str, Any]) -> Embedding | None:
    """The column of a job, as a manifest has that; None where it makes no vectors."""
    return Embedding(job.get("dimensions")) if job.get("task") == "embed" else None


def found_in(copies: Copies, embedding: Embedding | None) -> Embedding | None:
    """The column, as long as the first vector where the job does not say how long it is to be."""
    if embedding is None or embedding.dimensions is not None:
        return embedding
    for batch in copies.batches:
        results = copies.read(batch)
        for outcome, text in zip(results["outcome"], results["output"], strict=True):
            if outcome.as_py() == SUCCEEDED and (data := bytes_in(text.as_py() or "")):
                return Embedding(len(data) // FLOAT_BYTES)
    return embedding
