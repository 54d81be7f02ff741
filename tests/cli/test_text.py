from __future__ import annotations

import io
import sys

import pytest

from penstock.cli.text import aligned, print_json, print_sections


def test_values_are_aligned_beside_their_labels() -> None:
    assert aligned([("a", ["one", "two"]), ("long label", ["three"]), ("none", [])]) == [
        "a           one",
        "            two",
        "long label  three",
    ]


def test_values_are_folded_at_a_width_but_commands_never_are() -> None:
    command = "  penstock run a long command line that is to be copied"
    lines = aligned([("x", ["some words that are too many", command])], columns=20)
    assert lines[-1].endswith("to be copied")
    assert all(len(line) <= 20 for line in lines[:-1]) and len(lines) > 2


def test_what_does_not_go_to_a_terminal_is_never_folded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    print_sections("head", [("x", ["words " * 20])])
    assert capsys.readouterr().out.splitlines()[2].count("words") == 20


def test_on_a_terminal_lines_end_where_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "30")
    print_sections("head", [("x", ["words " * 20])])
    assert max(map(len, terminal.getvalue().splitlines())) <= 30


def test_json_is_one_line_and_text_stays_itself(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": "a\nö", "path": sys.path})
    assert capsys.readouterr().out.startswith('{"text":"a\\nö","path":[')
