"""Progress as one JSON object a line, for programs: `event` is progress, note or report."""

from __future__ import annotations

from typing import Any, TextIO

import msgspec

from penstock.observe.cadence import Cadence
from penstock.observe.report import Report
from penstock.observe.snapshot import Snapshot

INTERVAL_SECONDS = 1.0


class JsonProgress:
    """Writes JSON lines."""

    def __init__(self, stream: TextIO, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._stream = stream
        self._cadence = Cadence(interval_seconds)

    def update(self, snapshot: Snapshot) -> None:
        if self._cadence.passes(snapshot):
            self._write("progress", msgspec.to_builtins(snapshot))

    def note(self, text: str) -> None:
        self._write("note", {"text": text})

    def close(self, report: Report | None) -> None:
        if report is not None:
            self._write("report", msgspec.to_builtins(report))

    def _write(self, event: str, fields: dict[str, Any]) -> None:
        self._stream.write(msgspec.json.encode({"event": event, **fields}).decode() + "\n")
        self._stream.flush()
