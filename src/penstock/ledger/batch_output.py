"""The output as OpenAI batch output lines: what a job of batch lines gives as `.jsonl`.

The format is that of https://platform.openai.com/docs/api-reference/batch/request-output, which
puts answers and refusals into two files; here every row has its line, in input order. `response` is
null only where there was no HTTP answer. `error` is set where the status alone does not tell that
the row failed: no answer, or a success whose body was none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import pyarrow as pa

FIRST_ERROR_STATUS: Final = 400


class BatchOutput:
    """Writes batches of results to `sink`; `prefix` is before the names of their columns.

    Needs the column `response` of every row, so such a run keeps all responses.
    """

    def __init__(self, sink: BinaryIO, run_id: str, prefix: str = "") -> None:
        self._sink = sink
        self._run_id = run_id
        self._prefix = prefix
        self._encoder = msgspec.json.Encoder()

    def write(self, batch: pa.RecordBatch) -> None:
        for row in batch.select([self._prefix + name for name in COLUMNS]).to_pylist():
            values = {name: row[self._prefix + name] for name in COLUMNS}
            self._sink.write(self._encoder.encode(self._line(**values)) + b"\n")

    def close(self) -> None:
        """Nothing follows the last line; `sink` stays open."""

    def _line(
        self,
        *,
        row: int,
        id: str | None,
        http_status: int | None,
        request_id: str | None,
        error_class: str | None,
        error_message: str | None,
        response: str | None,
    ) -> dict[str, Any]:
        answer = None
        if http_status is not None:
            answer = {"status_code": http_status, "request_id": request_id, "body": body(response)}
        error = None
        if error_class is not None and (http_status or 0) < FIRST_ERROR_STATUS:
            error = {"code": error_class, "message": error_message}
        return {
            "id": f"batch_req_{self._run_id}_{row}",
            "custom_id": id,
            "response": answer,
            "error": error,
        }


COLUMNS: Final = (
    "row",
    "id",
    "http_status",
    "request_id",
    "error_class",
    "error_message",
    "response",
)


def is_batch_output(output: Path, *, batch_lines: bool) -> bool:
    """Whether a job's output is batch output lines; such a run must keep every response."""
    return batch_lines and output.suffix == ".jsonl"


def body(response: str | None) -> Any:
    """A response as it stands in a line: JSON as JSON, on one line, anything else as a string."""
    if response is None:
        return None
    try:
        return msgspec.Raw(msgspec.json.format(response.encode(), indent=-1))
    except msgspec.DecodeError:
        return response
