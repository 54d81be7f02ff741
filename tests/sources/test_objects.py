from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from penstock.errors import InputError, LedgerError
from penstock.sources.inputs import Inputs
from penstock.sources.objects import TABLE_NAME, ObjectLines, spooled
from penstock.sources.record import records_of


def fields(inputs: Inputs) -> list[Any]:
    return [record.fields for shard in inputs.shards(rows=3) for record in records_of(shard)]


def opened(objects: Any, spool: Path) -> Inputs:
    paths, stdin = spooled(objects, spool)
    return Inputs.open(paths, spool=spool, stdin=stdin)


def test_dicts_are_rows(tmp_path: Path) -> None:
    rows = [{"id": n, "text": "a\nb é", "more": [1, {"x": None}]} for n in range(10)]
    inputs = opened(iter(rows), tmp_path)
    assert fields(inputs) == rows
    assert fields(opened(rows, tmp_path)) == rows


def test_dicts_are_taken_as_they_are_needed(tmp_path: Path) -> None:
    taken = []

    def endless() -> Iterator[dict[str, Any]]:
        while True:
            taken.append(None)
            yield {"text": "x" * 1000}

    inputs = opened(endless(), tmp_path)
    next(inputs.shards(rows=5))
    assert len(taken) < 1000


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([{"a": 1}, "text"], "inputs: item 1: expected a dict, found str"),
        ([{"a": object()}], "inputs: item 0: Encoding objects of type object is unsupported"),
    ],
)
def test_an_item_that_is_no_row_is_an_error_that_names_it(rows: list[Any], what: str) -> None:
    with pytest.raises(InputError) as raised:
        ObjectLines(rows).read(100)
    assert raised.value.what == what


def test_an_error_of_the_callers_own_code_is_told_with_its_item() -> None:
    def failing() -> Iterator[dict[str, Any]]:
        yield {}
        raise RuntimeError("the database is gone")

    stream = ObjectLines(failing())
    assert stream.read(3) == b"{}\n"
    with pytest.raises(InputError, match="inputs: item 1: the database is gone") as raised:
        stream.read(3)
    assert isinstance(raised.value.__cause__, RuntimeError)


@pytest.mark.parametrize("objects", [5, "a.jsonl", {"a": 1}, None])
def test_what_is_no_input_is_an_error(objects: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"inputs: .* can't be read"):
        spooled(objects, tmp_path)


def a_table(chunks: int = 1, salt: float = float("nan")) -> pa.Table:
    table = pa.table({"id": [f"{n}" for n in range(10)], "x": [salt, *map(float, range(9))]})
    return pa.concat_tables(table.slice(10 * n // chunks, 10 // chunks) for n in range(chunks))


def test_a_table_is_written_once_and_checked_when_it_is_given_again(tmp_path: Path) -> None:
    assert [row["id"] for row in fields(opened(a_table(), tmp_path))] == list("0123456789")
    before = (tmp_path / TABLE_NAME).stat().st_mtime_ns
    opened(a_table(chunks=5), tmp_path)
    assert (tmp_path / TABLE_NAME).stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "other",
    [a_table(salt=1.0), a_table().slice(0, 9), a_table().select(["id"]), a_table().slice(1)],
)
def test_another_table_is_an_error(tmp_path: Path, other: pa.Table) -> None:
    opened(a_table(), tmp_path)
    with pytest.raises(InputError, match="inputs: the table is not what this run began with"):
        opened(other, tmp_path)


def test_a_table_that_was_not_written_whole_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "table.tmp").write_bytes(b"torn")
    assert len(fields(opened(a_table(), tmp_path))) == 10


def test_a_stream_of_dicts_is_no_terminal_and_no_file() -> None:
    stream = ObjectLines([{}])
    assert not stream.isatty()
    with pytest.raises(io.UnsupportedOperation):
        stream.fileno()


def test_a_table_that_can_not_be_kept_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "table.tmp").mkdir()
    with pytest.raises(LedgerError, match=r"can't remove .*table\.tmp: Is a directory"):
        spooled(pa.table({"a": [1]}), tmp_path)
