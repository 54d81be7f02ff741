"""Inputs that change between two runs and during one: refused by name, or taken where they grew."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Simulate
from integration.conftest import MakePlace
from integration.place import Place, text_rows
from integration.server import answering, echo, serving
from integration.test_inputs import WRITERS
from penstock.simulator import SimulatorProcess

NOWHERE = "http://127.0.0.1:9/v1"
ROWS = 40
FORMATS = ("b.jsonl.gz", "e.parquet")  # the others are played in the long form


@pytest.mark.parametrize("name", FORMATS)
def test_an_input_that_changed_vanished_or_shrank_is_refused_by_name(
    tmp_path: Path, name: str
) -> None:
    check_format(tmp_path, name)


def check_format(folder: Path, name: str) -> None:
    """A run of an input of some format refuses it as soon as it is another, and takes it back."""
    run, path = Place(folder, text_rows(ROWS)), folder / name
    WRITERS[name](path, run.rows)
    whole = path.read_bytes()
    with serving(answering(echo)) as base_url:
        assert run.run(base_url, inputs=[path], limit=ROWS // 2).code == 0
        other = [{**row, "text": row["text"].upper()} for row in run.rows]
        for change in (
            lambda: WRITERS[name](path, other),
            lambda: WRITERS[name](path, run.rows[: ROWS // 4]),
            path.unlink,
        ):
            change()
            ended = run.run(NOWHERE, inputs=[path])
            assert ended.code == 2, ended.stderr
            assert name in ended.stderr and "Traceback" not in ended.stderr
        path.write_bytes(whole)
        assert run.run(base_url, inputs=[path]).code == 0
    run.check_answers()


def grow(path: Path) -> None:
    with path.open("a") as file:
        file.write(json.dumps({"id": "new", "text": "text new"}) + "\n")


def rewrite(path: Path) -> None:
    path.write_text(path.read_text().replace("of the run", "OF THE RUN"))


def swap(path: Path) -> None:
    """Another file takes its name, as an editor does, or a link that is set anew."""
    other = path.with_name("other.jsonl")
    other.write_text(path.read_text().replace("of the run", "OF THE RUN"))
    link = path.with_name("link")
    link.symlink_to(other)
    link.replace(path)


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "rewritten": (rewrite, "not what this run began with"),
    "swapped": (swap, "not what this run began with"),
    "shrunk": (shrink, "bytes when the run began"),
    "gone": (Path.unlink, "No such file"),
    "a folder": (become_a_folder, "Is a directory"),
}


@pytest.mark.parametrize("name", ["rewritten", "shrunk"])  # the others are in the long form
def test_an_input_that_changes_during_the_run_is_found_out_before_anything_is_published(
    place: MakePlace, simulate: Simulate, name: str
) -> None:
    check_change(place(600), simulate(ttft_seconds=0.03, ttft_spread=0.0), name)


def check_change(run: Place, provider: SimulatorProcess, name: str) -> None:
    """A run whose input is changed meanwhile publishes nothing, and goes on once it is back."""
    change, words = CHANGES[name]
    before = run.input.read_text()
    with run.start(provider.base_url, max_concurrency=16) as live:
        live.until(lambda: provider.stats()["received"] > 50)
        change(run.input)
        ended = live.wait()
    assert ended.code == 2, ended.stderr
    assert words in ended.stderr and "in.jsonl" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not run.output.exists()
    restore(run.input, before)
    asked = provider.stats()["received"]
    ended = run.run(provider.base_url, max_concurrency=64)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert ended.summary["resumed"] >= asked - 16 - 1


def restore(path: Path, text: str) -> None:
    """The input as it was."""
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_text(text)


def test_rows_that_are_added_during_a_run_are_the_next_one_s(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(300), simulate(ttft_seconds=0.03)
    with run.start(provider.base_url, max_concurrency=16) as live:
        live.until(lambda: provider.stats()["received"] > 50)
        grow(run.input)
        ended = live.wait()
    assert ended.code == 0, ended.stderr
    run.check_answers()
    run.rows.append({"id": "new", "text": "text new"})
    ended = run.run(provider.base_url)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert (ended.summary["resumed"], ended.summary["requests"]) == (300, 1)


def test_a_folder_takes_new_files_at_its_end_and_at_no_other_place(tmp_path: Path) -> None:
    run, folder = Place(tmp_path, text_rows(30)), tmp_path / "inputs"
    folder.mkdir()
    WRITERS["a.jsonl"](folder / "b.jsonl", run.rows[:20])
    with serving(answering(echo)) as base_url:
        assert run.run(base_url, inputs=[folder]).code == 0
        WRITERS["a.jsonl"](folder / "a.jsonl", run.rows[20:])
        ended = run.run(base_url, inputs=[folder])
        assert ended.code == 2, ended.stderr
        assert "a.jsonl" in ended.stderr or "b.jsonl" in ended.stderr
        (folder / "a.jsonl").rename(folder / "c.jsonl")
        ended = run.run(base_url, inputs=[folder])
        assert ended.code == 0, ended.stderr
    run.check_answers()
    assert ended.summary["resumed"] == 20


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_file_is_refused_with_what_to_do(place: MakePlace, kind: str) -> None:
    run = place(1)
    path = run.folder / "x.jsonl"
    os.mkfifo(path) if kind == "pipe" else path.mkdir()
    ended = run.run(NOWHERE, inputs=[path])
    assert ended.code == 2, ended.stderr
    assert "x.jsonl" in ended.stderr
    assert ("standard input" if kind == "pipe" else "Readable") in ended.stderr
