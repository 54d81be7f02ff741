"""The columns that answers to a schema make: `parsed`, or one for each property.

They are not in the ledger: an answer that succeeded matches its schema, and is read once more for
the output. What ended otherwise has nulls there.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa

from penstock.answer_schema import json_of_answer, value_of_answer
from penstock.ledger.answer_types import JSON_TEXT, Shape, array_of, properties_of, shape_of
from penstock.record import SUCCEEDED

PARSED: Final = "parsed"


class Parsed(msgspec.Struct, frozen=True, dict=True):
    """The columns of answers to `schema`; `flat` ones are named as its properties.

    `as_json` is for outputs that have no types: the answer stands there as it came.
    """

    schema: dict[str, Any]
    flat: bool = False
    as_json: bool = False

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """The columns, and what their values are."""
        if not self.flat:
            return {PARSED: JSON_TEXT if self.as_json else shape_of(self.schema, self.schema)}
        shapes = properties_of(self.schema)
        return dict.fromkeys(shapes, JSON_TEXT) if self.as_json else shapes

    @property
    def fields(self) -> list[pa.Field]:
        return [pa.field(name, shape.type) for name, shape in self.shapes.items()]

    def columns(self, results: pa.RecordBatch) -> list[pa.Array]:
        """The columns for a batch of results."""
        if self.as_json and not self.flat:
            return [pa.array(list(texts(results)), pa.string())]
        values = list(answers(results))
        if not self.flat:
            return [array_of(self.shapes[PARSED], values)]
        return [
            array_of(shape, [one.get(name) if isinstance(one, dict) else None for one in values])
            for name, shape in self.shapes.items()
        ]


def parsed_for(schema: Any, flatten: bool, output: Path) -> Parsed | None:
    """The columns of a job's parsed answers in `output`; None where it has no schema."""
    if not isinstance(schema, dict):
        return None
    as_json = output.suffix == ".jsonl" or (output.suffix == ".csv" and not flatten)
    return Parsed(schema, flatten, as_json)


def outputs(results: pa.RecordBatch) -> Iterator[str | None]:
    """The outputs of what succeeded; None for all else."""
    pairs = zip(results["outcome"].to_pylist(), results["output"].to_pylist(), strict=True)
    return (output if outcome == SUCCEEDED else None for outcome, output in pairs)


def answers(results: pa.RecordBatch) -> Iterator[Any]:
    """What answers say as JSON; None where that is nothing."""
    for output in outputs(results):
        try:
            yield None if output is None else value_of_answer(output)
        except (ValueError, RecursionError):  # of a generation that had no schema
            yield None


def texts(results: pa.RecordBatch) -> Iterator[str | None]:
    """The JSON text of answers, on one line."""
    for output in outputs(results):
        try:
            text = None if output is None else json_of_answer(output).encode()
            yield None if text is None else msgspec.json.format(text, indent=-1).decode()
        except (ValueError, RecursionError):
            yield None
