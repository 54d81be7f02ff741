"""Progress as plain lines, for logs, CI and files: every few seconds, and at every change."""

from __future__ import annotations

from typing import TextIO

from penstock.observe.cadence import Cadence
from penstock.observe.pieces import SEPARATOR, done_words, eta_words, failures, traffic, usage
from penstock.observe.report import Report
from penstock.observe.snapshot import Snapshot
from penstock.observe.table import plain_table
from penstock.observe.words import duration, visible

INTERVAL_SECONDS = 5.0


class LinesProgress:
    """Writes lines to a stream that is not a terminal."""

    def __init__(self, stream: TextIO, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._stream = stream
        self._cadence = Cadence(interval_seconds)

    def update(self, snapshot: Snapshot) -> None:
        if self._cadence.passes(snapshot):
            self._write(line(snapshot))

    def note(self, text: str) -> None:
        self._write(visible(text))

    def close(self, report: Report | None) -> None:
        if report is not None:
            self._write("\n" + plain_table(report))

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


def line(snapshot: Snapshot) -> str:
    """A snapshot on one line."""
    pieces = [done_words(snapshot), eta_words(snapshot)]
    pieces += [*traffic(snapshot), *failures(snapshot), *usage(snapshot)]
    if snapshot.limiting:
        pieces.append(snapshot.limiting)
    return f"[{duration(snapshot.elapsed_seconds)}] {SEPARATOR.join(pieces)}"
