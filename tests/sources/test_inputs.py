from __future__ import annotations

import gzip
import json
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.errors import InputError
from penstock.record import Record
from penstock.sources.inputs import Inputs
from penstock.sources.record import records_of

BATCH_LINE = json.dumps(
    {"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"input": "x"}}
)


def write(folder: Path, name: str, *rows: Any) -> str:
    path = folder / name
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    text = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return str(path)


@pytest.fixture
def mixed(tmp_path: Path) -> list[str]:
    """Inputs of every format; the id of each row says which it is."""
    table = pa.table({"id": [4, 5], "when": pa.array([1, 2], pa.timestamp("us"))})
    pq.write_table(table, tmp_path / "c.parquet")
    with pa.ipc.new_file(tmp_path / "d.arrow", pa.schema([("id", pa.int64())])) as writer:
        writer.write_table(pa.table({"id": [6, 7]}))
    return [
        write(tmp_path, "a.jsonl", {"id": 0}, "", {"id": 1}, "broken"),
        write(tmp_path, "empty.jsonl"),
        write(tmp_path, "b.csv", "id,name", "3,x"),
        str(tmp_path / "c.parquet"),
        str(tmp_path / "d.arrow"),
        write(tmp_path, "e.jsonl.gz", {"id": 8}),
    ]


def records(inputs: Inputs, rows: int = 2) -> Iterator[Record]:
    return (record for shard in inputs.shards(rows=rows) for record in records_of(shard))


def test_rows_are_numbered_over_all_inputs_in_order(mixed: list[str]) -> None:
    inputs = Inputs.open(mixed)
    found = list(records(inputs))
    assert [record.row for record in found] == list(range(9))
    assert [record.id for record in found] == ["0", "1", None, *"345678"]
    assert [record.where for record in found] == [
        "a.jsonl:1",
        "a.jsonl:3",
        "a.jsonl:4",
        "b.csv:2",
        "c.parquet row 0",
        "c.parquet row 1",
        "d.arrow row 0",
        "d.arrow row 1",
        "e.jsonl.gz:1",
    ]


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_reading_on_from_any_shard_crosses_files(mixed: list[str], rows: int) -> None:
    found = list(Inputs.open(mixed).shards(rows=rows))
    for index, shard in enumerate(found):
        assert list(Inputs.open(mixed).shards(shard.next, rows=rows)) == found[index + 1 :]


def test_the_number_of_rows_is_known_after_counting_or_from_the_format(mixed: list[str]) -> None:
    inputs = Inputs.open(mixed)
    assert inputs.total_rows is None
    assert inputs.count_rows() == 9
    assert inputs.total_rows == 9
    assert Inputs.open(mixed[3:5]).total_rows == 4


def test_counting_stops_when_it_is_told_to(mixed: list[str]) -> None:
    stop = threading.Event()
    stop.set()
    inputs = Inputs.open(mixed)
    assert inputs.count_rows(stop) is None
    assert inputs.total_rows is None


def test_the_schema_is_that_of_all_files(mixed: list[str]) -> None:
    schema = Inputs.open(mixed).schema()
    assert [(column.name, column.type) for column in schema.columns] == [
        ("id", "text"),
        ("name", "text"),
        ("when", "timestamp[us]"),
    ]


def test_a_later_file_has_its_share_of_the_first_pass(tmp_path: Path) -> None:
    first = write(tmp_path, "a.jsonl", *({"a": n} for n in range(11_000)))
    second = write(tmp_path, "b.jsonl", {"a": "x", "b": 1})
    schema = Inputs.open([first, second]).schema()
    assert [(column.name, column.type) for column in schema.columns] == [
        ("a", "text"),
        ("b", "int"),
    ]


def test_a_sample_is_the_first_rows(mixed: list[str]) -> None:
    inputs = Inputs.open(mixed)
    assert [record.row for record in inputs.sample(5)] == [0, 1, 2, 3, 4]
    assert len(list(inputs.sample(100))) == 9
    assert list(inputs.sample(0)) == []


def test_a_record_is_found_by_its_row(mixed: list[str]) -> None:
    inputs = Inputs.open(mixed)
    assert inputs.record(7).id == "7"
    assert inputs.record(3, "name").id == "x"
    with pytest.raises(InputError, match="row 9: the input ends before it"):
        inputs.record(9)


def test_batch_lines_are_known_by_the_first_row_that_can_be_read(tmp_path: Path) -> None:
    paths = [write(tmp_path, "a.jsonl", "broken", BATCH_LINE, {"plain": 1})]
    inputs = Inputs.open(paths)
    assert inputs.batch_lines
    assert inputs.schema().columns == ()
    broken, good, odd = records(inputs)
    assert broken.problem is not None
    assert good.batch is not None
    assert odd.problem is not None
    assert "not a batch line" in odd.problem


def test_a_batch_line_after_plain_rows_is_a_problem(tmp_path: Path) -> None:
    inputs = Inputs.open([write(tmp_path, "a.jsonl", {"plain": 1}, BATCH_LINE)])
    assert not inputs.batch_lines
    plain, odd = records(inputs)
    assert plain.fields == {"plain": 1}
    assert odd.problem == "an OpenAI batch line, while the first row of the input is none"


def test_batch_lines_beside_columns_are_an_error(tmp_path: Path) -> None:
    paths = [write(tmp_path, "a.jsonl", BATCH_LINE), write(tmp_path, "b.csv", "a", "1")]
    with pytest.raises(InputError, match=r"b\.csv: has columns, while the other inputs are"):
        Inputs.open(paths)


@pytest.mark.parametrize("rows", [(), ("", "  "), ("\r",)])
def test_an_input_without_rows_is_an_error_that_names_it(
    tmp_path: Path, rows: tuple[str, ...]
) -> None:
    paths = [write(tmp_path, name, *rows) for name in ("a.jsonl", "b.jsonl.gz")]
    with pytest.raises(InputError) as raised:
        Inputs.open(paths)
    assert raised.value.what == "the input is empty: no rows in a.jsonl, b.jsonl.gz"


def test_checked_inputs_go_on_where_they_grew(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", *({"id": n} for n in range(5)))
    before = Inputs.open([path])
    old = list(before.shards(rows=2))
    write(tmp_path, "a.jsonl", *({"id": n} for n in range(9)))
    after = Inputs.open([path])
    after.check(before.frozen)
    new = list(after.shards(rows=2))
    assert new[: len(old)] == old
    assert [shard.rows for shard in new] == [2, 2, 1, 2, 2]
    assert list(after.shards(old[-1].next, rows=2)) == new[len(old) :]
    again = Inputs.open([path])
    again.check(after.frozen)
    assert list(again.shards(rows=2)) == new


def test_inputs_that_changed_are_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", {"id": 1})
    before = Inputs.open([path])
    write(tmp_path, "a.jsonl", {"id": 2})
    with pytest.raises(InputError, match=r"a\.jsonl: its content changed since the run began"):
        Inputs.open([path]).check(before.frozen)


def test_a_file_that_changed_under_the_run_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", *({"id": n} for n in range(100)))
    inputs = Inputs.open([path])
    write(tmp_path, "a.jsonl", {"id": 0})
    with pytest.raises(InputError, match=r"a\.jsonl: was [\d,]+ bytes when the run began"):
        list(inputs.shards(rows=10))


def test_a_compressed_input_that_is_cut_short_is_an_error_once_it_is_met(tmp_path: Path) -> None:
    path = Path(write(tmp_path, "a.jsonl.gz", *({"id": n, "x": f"{n**20}"} for n in range(20_000))))
    path.write_bytes(path.read_bytes()[:-20])
    inputs = Inputs.open([str(path)])
    with pytest.raises(InputError, match=r"a\.jsonl\.gz: the gzip data is cut short"):
        list(inputs.shards(rows=100))


def test_many_inputs_are_not_open_at_once(tmp_path: Path) -> None:
    for number in range(60):
        pq.write_table(pa.table({"id": [number]}), tmp_path / f"{number:03}.parquet")
    opened = len(list(Path("/dev/fd").iterdir()))
    inputs = Inputs.open([str(tmp_path)])
    shards = inputs.shards(rows=10)
    for _ in range(40):
        next(shards)
    assert len(list(Path("/dev/fd").iterdir())) < opened + 10


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    line = json.dumps({"id": "x", "text": "y" * 80}) + "\n"
    small, large = tmp_path / "small.jsonl.gz", tmp_path / "large.jsonl.gz"
    small.write_bytes(gzip.compress(line.encode() * 20_000, 1))
    large.write_bytes(gzip.compress(line.encode() * 200_000, 1))

    def peak_of(path: Path) -> int:
        inputs = Inputs.open([str(path)])
        tracemalloc.start()
        rows = sum(shard.rows for shard in inputs.shards(rows=500))
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert rows == (200_000 if path == large else 20_000)
        return peak_bytes

    assert peak_of(large) < 1.2 * peak_of(small)
