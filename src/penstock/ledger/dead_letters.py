"""`OUTPUT.failed.jsonl`: the records that failed for good, in a form that is itself an input.

Each line is the record with its columns as they stand in the input, byte for byte where that was
JSON, and what became of it under `_penstock`. What an earlier run wrote there is replaced. A line
that could not be read has no columns; it stands whole under `_penstock.raw`. An answer that did not
count, as it was cut or did not match its schema, stands under `_penstock.output`.
"""

from __future__ import annotations

from typing import Any, BinaryIO, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from penstock.ledger.cells import json_values
from penstock.ledger.input_rows import InputRows
from penstock.ledger.output_columns import DEAD_LETTER_KEY as KEY
from penstock.record import FAILED

ABOUT: Final = ("error_class", "error_message", "attempts", "finished_at", "http_status")


class DeadLetters:
    """Writes the failed rows of batches of results to `sink`."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self.count = 0

    def write(self, results: pa.RecordBatch, inputs: InputRows) -> None:
        """Writes what failed of `results`, whose rows ascend and are at hand in `inputs`."""
        failures = results.filter(pc.equal(results["outcome"], FAILED))
        if failures.num_rows == 0:
            return
        rows = failures["row"].to_pylist()
        about = zip(*(json_values(failures[name]) for name in ABOUT), strict=True)
        said = failures["output"].to_pylist()
        for (row, fields, raw), values, output in zip(inputs.raw(rows), about, said, strict=True):
            told = {"row": row, **dict(zip(ABOUT, values, strict=True))}
            line = letter(fields, raw, told if output is None else {**told, "output": output})
            self._sink.write(line + b"\n")
        self.count += len(rows)


def letter(fields: dict[str, Any] | None, raw: bytes, about: dict[str, Any]) -> bytes:
    """One line: the record, and under `_penstock` what became of it.

    `raw` is the record as JSON, where it was that; with no `fields`, what could not be read.
    """
    if fields is None:
        return encode({KEY: {**about, "raw": raw.decode("utf-8", "replace")}})
    written = msgspec.json.decode(raw, type=dict[str, msgspec.Raw]) if raw else fields
    return encode({**written, KEY: about})


def encode(line: dict[str, Any]) -> bytes:
    """A line as JSON; a value of a type that JSON and msgspec lack is told as text."""
    return msgspec.json.encode(line, enc_hook=str)
