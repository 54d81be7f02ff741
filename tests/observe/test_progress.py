from __future__ import annotations

import io
import json

import pytest

from observe.samples import a_report, a_snapshot
from penstock.observe.progress import Silent, Unbreakable, chosen, progress_for
from penstock.observe.snapshot import Snapshot


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class BrokenPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize(
    ("is_terminal", "term", "expected"),
    [
        (True, "xterm", "bar"),
        (True, "dumb", "lines"),
        (True, None, "lines"),
        (False, "xterm", "lines"),
    ],
)
def test_auto_is_a_bar_only_where_the_cursor_can_be_moved(
    is_terminal: bool, term: str | None, expected: str
) -> None:
    assert chosen("auto", is_terminal, {"TERM": term} if term else {}) == expected


def test_what_was_asked_for_explicitly_is_given() -> None:
    assert chosen("json", True, {"TERM": "xterm"}) == "json"
    assert chosen("bar", False, {}) == "bar"


def test_a_terminal_gets_a_bar_that_is_redrawn_in_place() -> None:
    stream = Terminal()
    progress = progress_for("auto", stream, {"TERM": "xterm"})
    progress.update(a_snapshot())
    progress.update(a_snapshot())
    progress.close(None)
    assert "━" in stream.getvalue()
    assert "\x1b[1A" in stream.getvalue()


def test_no_color_leaves_the_bar_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    progress = progress_for("auto", stream)
    progress.update(a_snapshot())
    progress.close(a_report())
    assert "━" in stream.getvalue()
    assert "\x1b[3" not in stream.getvalue()


def test_a_file_gets_lines_without_escape_sequences() -> None:
    stream = io.StringIO()
    progress = progress_for("auto", stream, {"TERM": "xterm"})
    progress.update(a_snapshot())
    progress.close(a_report())
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().startswith("[1:01] 612/1,000")


def test_json_gets_json() -> None:
    stream = io.StringIO()
    progress_for("json", stream, {}).update(a_snapshot())
    assert json.loads(stream.getvalue())["done"] == 612


def test_off_writes_nothing() -> None:
    stream = Terminal()
    progress = progress_for("off", stream, {"TERM": "xterm"})
    progress.update(a_snapshot())
    progress.note("hello")
    progress.close(a_report())
    assert stream.getvalue() == ""


@pytest.mark.parametrize("kind", ["bar", "lines", "json"])
def test_a_terminal_that_goes_away_ends_the_display_and_not_the_run(kind: str) -> None:
    stream = BrokenPipe()
    progress = progress_for(kind, stream, {"TERM": "xterm"})  # type: ignore[arg-type]
    progress.update(a_snapshot())
    progress.note("hello")
    progress.close(a_report())


def test_a_display_that_broke_is_not_tried_again() -> None:
    class Breaks(Silent):
        calls = 0

        def update(self, snapshot: Snapshot) -> None:
            Breaks.calls += 1
            raise OSError

    progress = Unbreakable(Breaks())
    progress.update(a_snapshot())
    progress.update(a_snapshot())
    assert Breaks.calls == 1


def test_a_fault_of_ours_in_the_display_is_not_hidden() -> None:
    class Faulty(Silent):
        def note(self, text: str) -> None:
            raise KeyError(text)

    with pytest.raises(KeyError):
        Unbreakable(Faulty()).note("x")
