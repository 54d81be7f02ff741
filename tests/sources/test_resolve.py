from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.errors import InputError
from penstock.sources.resolve import STDIN, format_of, resolve


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b.jsonl", "a.jsonl", "c.jsonl.gz", ".hidden.jsonl", "_temporary.jsonl", "x.txt"):
        Path(name).write_text("{}\n")
    Path("deeper").mkdir()
    Path("deeper/d.jsonl").write_text("{}\n")
    return tmp_path


def names(*paths: str) -> list[str]:
    return [str(path) for path in resolve(paths)]


@pytest.mark.usefixtures("folder")
def test_arguments_keep_their_order() -> None:
    assert names("b.jsonl", "deeper/d.jsonl", "a.jsonl") == ["b.jsonl", "deeper/d.jsonl", "a.jsonl"]


@pytest.mark.usefixtures("folder")
def test_a_glob_is_sorted_and_passes_over_hidden_files() -> None:
    assert names("*.jsonl") == ["a.jsonl", "b.jsonl"]
    assert names("**/*.jsonl") == ["a.jsonl", "b.jsonl", "deeper/d.jsonl"]


def test_a_directory_gives_its_readable_files_sorted(folder: Path) -> None:
    found = [Path(name).name for name in names(str(folder))]
    assert found == ["a.jsonl", "b.jsonl", "c.jsonl.gz"]


@pytest.mark.usefixtures("folder")
def test_a_file_that_is_named_twice_is_read_once() -> None:
    Path("link.jsonl").symlink_to("a.jsonl")
    assert names("b.jsonl", "*.jsonl", "./a.jsonl", "link.jsonl") == ["b.jsonl", "a.jsonl"]


@pytest.mark.usefixtures("folder")
def test_what_a_run_keeps_is_no_input() -> None:
    Path("deeper/out.run").mkdir()
    for name in ("run.json", "log.jsonl"):
        Path("deeper/out.run", name).write_text("{}\n")
    assert names("**/*.jsonl") == ["a.jsonl", "b.jsonl", "deeper/d.jsonl"]


def test_a_dash_stays_as_it_is() -> None:
    assert resolve(["-"]) == [STDIN]


@pytest.mark.usefixtures("folder")
def test_a_file_whose_name_looks_like_a_pattern_is_that_file() -> None:
    Path("a[1].jsonl").write_text("{}\n")
    assert names("a[1].jsonl") == ["a[1].jsonl"]


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("missing.jsonl", "missing.jsonl: no such file"),
        ("missing-*.jsonl", "missing-*.jsonl: no file matches"),
        ("empty", "empty: holds no file that can be read"),
        ("mixed", "mixed: holds csv and jsonl files"),
        ("pipe", "pipe: not a regular file"),
        ("twins", "twins: holds a.jsonl and a.jsonl.gz, which look like the same rows"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_gives_nothing_is_an_error_that_names_it(path: str, what: str) -> None:
    Path("empty").mkdir()
    Path("empty/notes.txt").write_text("nothing")
    Path("mixed").mkdir()
    Path("mixed/a.csv").write_text("a\n")
    Path("mixed/a.jsonl").write_text("{}\n")
    Path("twins").mkdir()
    Path("twins/a.jsonl").write_text("{}\n")
    Path("twins/a.jsonl.gz").write_text("{}\n")
    os.mkfifo("pipe")
    with pytest.raises(InputError) as raised:
        resolve([path])
    assert raised.value.what == what
    assert raised.value.next_step


def test_no_input_is_an_error() -> None:
    with pytest.raises(InputError, match="no input is given"):
        resolve([])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.usefixtures("folder")
def test_a_file_that_may_not_be_read_is_an_error() -> None:
    Path("a.jsonl").chmod(0)
    with pytest.raises(InputError, match=r"a\.jsonl: permission denied"):
        resolve(["a.jsonl"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jsonl", ("jsonl", "")),
        ("a.NDJSON", ("jsonl", "")),
        ("a.b.csv.gz", ("csv", "gz")),
        ("a.tsv.zst", ("tsv", "zst")),
        ("a.parquet", ("parquet", "")),
        ("a.arrow", ("arrow", "")),
        ("a.txt", (None, "")),
        ("a.gz", (None, "gz")),
        ("a", (None, "")),
    ],
)
def test_suffixes_say_format_and_compression(name: str, expected: tuple[str | None, str]) -> None:
    assert format_of(Path(name)) == expected
