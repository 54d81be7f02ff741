"""The structured log: one JSON object an event, and its warnings told to the user."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from penstock.observe.events import Event
from penstock.observe.redactor import Redactor


class Log:
    """Writes events to `log.jsonl` by `write`, and warnings and errors to the user by `tell`.

    `tell` gets a line without its end: text, or the same JSON object as the log's. The clock gives
    seconds since the Unix epoch.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        redactor: Redactor,
        *,
        tell: Callable[[str], object] | None = None,
        tell_format: Literal["text", "json"] = "text",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._write = write
        self._redactor = redactor
        self._tell = tell
        self._tell_format = tell_format
        self._clock = clock

    def emit(self, event: Event) -> None:
        """Log an event."""
        line = msgspec.json.encode(self._redactor.value(fields_of(event, self._clock())))
        self._write(line + b"\n")
        if self._tell is not None and event.level != "info":
            text = f"{event.level}: {self._redactor.text(event.text)}"
            self._tell(line.decode() if self._tell_format == "json" else text)


def fields_of(event: Event, now: float) -> dict[str, Any]:
    """The object that is logged: time, level and name first, then the event's own fields."""
    ts = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    own = msgspec.to_builtins(event)
    return {"ts": ts, "level": event.level, "event": event.name, **own}
