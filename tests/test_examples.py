"""The examples do what their README says: its commands are carried out, line by line."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import click
import pyarrow.parquet as pq
import pytest

import penstock.simulator
from penstock.cli import call, cli
from penstock.simulator import Settings, SimulatorProcess, spawn
from test_docs import FENCE, arguments

EXAMPLES = Path(__file__).parents[1] / "examples"
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
MADE = ("out", "pictures", "pictures.jsonl", "catalogue.parquet")


def lines() -> Iterator[str]:
    """The commands of the README but for those that make its shell ready."""
    for block in list(FENCE.finditer(README))[1:]:
        yield from block[3].replace("\\\n", " ").splitlines()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the examples, as they are when nobody has tried them, to be called from."""
    copy = tmp_path / "examples"
    shutil.copytree(EXAMPLES, copy, ignore=shutil.ignore_patterns(*MADE))
    (copy / "out").mkdir()  # as in the repository, which has it for the file .gitignore in it
    monkeypatch.chdir(copy)
    return copy


class Shell:
    """Carries out a README's lines in this process, which is quicker than one for each.

    Simulators of the same settings are one, as starting them is dear.
    """

    def __init__(self, running: ExitStack) -> None:
        self._running = running
        self._simulators: dict[Settings, SimulatorProcess] = {}
        self._moved: dict[str, str] = {}  # a simulator's URL as documented, and as it is

    def carry_out(self, line: str) -> None:
        words = arguments(line)
        if line.startswith("penstock simulate "):
            self.simulate(words[1:])
        elif line.startswith("penstock "):
            code = call([self.moved(word) for word in words])
            assert code == 0, f"exit {code}: {line}"
        elif line.startswith("python -c "):
            exec(words[1], {})
        else:
            assert line.startswith("python "), line
            runpy.run_path(words[0], run_name="__main__")

    def simulate(self, words: list[str]) -> None:
        """Start a simulator as told, but at a port that is free."""
        whole = click.Context(cli, **cli.context_settings)
        command = cli.get_command(whole, "simulate")
        assert command is not None
        given = command.make_context("simulate", words, parent=whole).params
        settings = {name: value for name, value in given.items() if value not in (None, ())}
        documented = f"http://127.0.0.1:{settings.pop('port')}/v1"
        self._moved[documented] = self.simulator(Settings(**settings)).base_url

    def simulator(self, settings: Settings) -> SimulatorProcess:
        if settings not in self._simulators:
            self._simulators[settings] = self._running.enter_context(spawn(settings))
        return self._simulators[settings]

    def moved(self, word: str) -> str:
        for documented, found in self._moved.items():
            word = word.replace(documented, found)
        return word


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A shell without keys, in which `--simulate` takes a simulator that does not fail."""
    for name in os.environ:
        if name.startswith("PENSTOCK_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    for name, value in (("WORKERS", "1"), ("METRICS_PORT", "off"), ("PROGRESS", "lines")):
        monkeypatch.setenv(f"PENSTOCK_{name}", value)
    with ExitStack() as running:
        shell = Shell(running)
        monkeypatch.setattr(
            penstock.simulator, "spawn", lambda _: nullcontext(shell.simulator(Settings()))
        )
        yield shell


def rows(path: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(path).to_pylist())


def test_every_command_of_the_examples_readme_works(folder: Path, shell: Shell) -> None:
    for line in lines():
        if line:
            shell.carry_out(line)

    classified = rows(folder / "out/classified.parquet")
    assert len(classified) == 200 and all(one["parsed"]["team"] for one in classified)
    judged = rows(folder / "out/judged.parquet")
    assert [one["id"] for one in judged] == [one["id"] for one in classified]
    assert {type(one["judge_is_right"]) for one in judged} == {bool}
    translated = rows(folder / "out/catalogue.parquet")
    assert Counter(one["source"] for one in translated).keys() == {"bought", "duplicate"}
    assert all(one["description"] in one["description_de"] for one in translated)
    captions = (folder / "out/captions.jsonl").read_text().splitlines()
    assert [json.loads(one)["outcome"] for one in captions] == ["succeeded"] * 24
    embedded = rows(folder / "out/embedded.parquet")
    assert len(embedded) == 1000 and {len(one["embedding"]) for one in embedded} == {256}
    by = Counter(one["endpoint"] for one in rows(folder / "out/failed_over.parquet"))
    assert by.total() == 200 and len(by) == 2 and min(by.values()) <= 50, by


def test_every_job_file_of_the_examples_is_linked_and_run() -> None:
    assert (EXAMPLES / "out" / ".gitignore").exists()
    names = sorted(path.name for path in EXAMPLES.glob("*.toml"))
    assert names == sorted(set(re.findall(r"\]\(([a-z]+\.toml)\)", README)))
    run = {line.split()[3] for line in lines() if "--job" in line and "--simulate" in line}
    assert run == set(names)


def test_the_tickets_are_those_that_their_script_makes(folder: Path) -> None:
    runpy.run_path("make_tickets.py", run_name="__main__")
    assert (folder / "tickets.jsonl").read_bytes() == (EXAMPLES / "tickets.jsonl").read_bytes()
