"""What the tests of commands share: a command line called in this process, and runs to look at."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from ledger.ledger_rows import answer, dead
from ledger.ledger_run import Run, json_lines
from penstock.cli import call


class Outcome(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one line of JSON that standard output is."""
        assert self.out.count("\n") == 1 and self.out.endswith("\n"), self.out
        return msgspec.json.decode(self.out, type=dict[str, Any])


Penstock = Callable[..., Outcome]


@pytest.fixture
def penstock(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Penstock:
    """Calls `penstock` with some arguments; no variable of the developer's is seen."""
    for name in os.environ:
        if name.startswith(("OPENAI_", "PENSTOCK_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")

    def outcome(*arguments: object) -> Outcome:
        words = [str(one) for one in arguments]
        monkeypatch.setattr(sys, "argv", ["penstock", *words])
        capfd.readouterr()
        code = call(words)
        return Outcome(code, *capfd.readouterr())

    return outcome


@pytest.fixture
def ten_rows(tmp_path: Path) -> Path:
    """An input of ten rows."""
    rows = [{"id": f"r-{row}", "text": f"text {row}"} for row in range(10)]
    return json_lines(tmp_path / "in.jsonl", rows)


@pytest.fixture
def stopped(tmp_path: Path, ten_rows: Path) -> Run:
    """A run of ten rows, of which five succeeded, one failed and four are pending."""
    run = Run(
        tmp_path,
        ten_rows,
        output=str(tmp_path / "out.jsonl"),
        model="m",
        prompt="Say: {{ text }}",
        base_url="http://127.0.0.1:1/v1",
    )
    results = [answer(row) for row in range(5)]
    run.put([*results, dead(5, "timeout", error_message="no answer in 300 s")])
    return run


@pytest.fixture
def complete(stopped: Run) -> Run:
    """A run of ten rows, of which nine succeeded and one failed."""
    stopped.put([answer(row) for row in range(6, 10)], worker=2)
    return stopped
