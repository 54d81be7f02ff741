"""How a run shows itself while it goes: one protocol, and the choice among its kinds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, Protocol, TextIO

from penstock.observe.progress_json import JsonProgress
from penstock.observe.progress_lines import LinesProgress
from penstock.observe.report import Report
from penstock.observe.snapshot import Snapshot

Kind = Literal["auto", "bar", "lines", "json", "off"]


class Progress(Protocol):
    """Shows a run. Called from one thread, `update` several times a second; none of them waits."""

    def update(self, snapshot: Snapshot) -> None:
        """Show the run as it is now."""

    def note(self, text: str) -> None:
        """Show a line that stays, such as a warning."""

    def close(self, report: Report | None) -> None:
        """End the display, with what the run came to where there is a report."""


def progress_for(
    kind: Kind, stream: TextIO, environment: Mapping[str, str] | None = None
) -> Progress:
    """The progress that was asked for; `auto` is a bar where a cursor can be moved, else lines."""
    environment = os.environ if environment is None else environment
    match chosen(kind, stream.isatty(), environment):
        case "bar":
            # Imported late: rich takes tens of milliseconds, and only a terminal needs it.
            from penstock.observe.progress_bar import BarProgress

            return Unbreakable(BarProgress(stream))
        case "lines":
            return Unbreakable(LinesProgress(stream))
        case "json":
            return Unbreakable(JsonProgress(stream))
        case _:
            return Silent()


def chosen(kind: Kind, is_terminal: bool, environment: Mapping[str, str]) -> Kind:
    """`kind`, with `auto` decided."""
    if kind != "auto":
        return kind
    dumb = environment.get("TERM", "dumb").lower() in ("dumb", "unknown", "")
    return "bar" if is_terminal and not dumb else "lines"


class Silent:
    """Shows nothing."""

    def update(self, snapshot: Snapshot) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def close(self, report: Report | None) -> None:
        pass


class Unbreakable:
    """Any progress, silent once its stream breaks: a closed terminal must not end a run."""

    def __init__(self, inner: Progress) -> None:
        self._inner: Progress = inner

    def update(self, snapshot: Snapshot) -> None:
        try:
            self._inner.update(snapshot)
        except (OSError, ValueError):  # ValueError: the stream was closed
            self._inner = Silent()

    def note(self, text: str) -> None:
        try:
            self._inner.note(text)
        except (OSError, ValueError):
            self._inner = Silent()

    def close(self, report: Report | None) -> None:
        try:
            self._inner.close(report)
        except (OSError, ValueError):
            self._inner = Silent()
