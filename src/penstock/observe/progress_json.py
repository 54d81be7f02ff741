"""Progress as one JSON object a line, for programs: `event` is progress, note or report."""

from __future__ import annotations

from typing import Any, TextIO

import msgspec

from penstock.observe.progress_lines import due
from penstock.observe.report import Report
from penstock.observe.snapshot import Snapshot

INTERVAL_SECONDS = 1.0


class JsonProgress:
    """Writes JSON lines."""

    def __init__(self, stream: TextIO, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._stream = stream
        self._interval_seconds = interval_seconds
        self._last: Snapshot | None = None

    def update(self, snapshot: Snapshot) -> None:
        if due(self._last, snapshot, self._interval_seconds):
            self._last = snapshot
            self._write("progress", msgspec.to_builtins(snapshot))

    def note(self, text: str) -> None:
        self._write("note", {"text": text})

    def close(self, report: Report | None) -> None:
        if report is not None:
            self._write("report", msgspec.to_builtins(report))

    def _write(self, event: str, fields: dict[str, Any]) -> None:
        self._stream.write(msgspec.json.encode({"event": event, **fields}).decode() + "\n")
        self._stream.flush()
