from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.errors import InputError
from penstock.sources.arrow import ArrowGroups
from penstock.sources.columns import batch_of
from penstock.sources.parquet import ParquetGroups
from penstock.sources.record import records_of
from penstock.sources.schema import schema_of_table
from penstock.sources.shard import COLUMNS, Cursor, Shard
from penstock.sources.table import Pending, TableInput, batch_of_stream, plain_type

ROWS = 1000


def a_table(salt: str = "") -> pa.Table:
    return pa.table(
        {
            "id": [f"row {n}{salt}" for n in range(ROWS)],
            "n": pa.array([None if n % 7 == 0 else n for n in range(ROWS)], pa.int32()),
            "ok": pa.array([None if n % 5 == 0 else n % 2 == 0 for n in range(ROWS)]),
            "kind": pa.array(["red", "green"] * (ROWS // 2)).dictionary_encode(),
            "tags": [[str(n)] * (n % 3) for n in range(ROWS)],
        }
    )


def write_parquet(table: pa.Table, path: Path) -> TableInput:
    pq.write_table(table, path, row_group_size=300)
    return TableInput("in.parquet", ParquetGroups(path, "in.parquet"))


def write_arrow(table: pa.Table, path: Path) -> TableInput:
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table.unify_dictionaries(), max_chunksize=300)
    return TableInput("in.arrow", ArrowGroups(path, "in.arrow"))


def write_compressed_arrow(table: pa.Table, path: Path) -> TableInput:
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(path, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=300)
    return TableInput("in.arrow", ArrowGroups(path, "in.arrow"))


Write = Callable[[pa.Table, Path], TableInput]

every_format = pytest.mark.parametrize(
    "write", [write_parquet, write_arrow, write_compressed_arrow]
)


def rows_of(shards: list[Shard]) -> pa.Table:
    return pa.Table.from_batches([batch_of_stream(shard.payload) for shard in shards])


@every_format
@pytest.mark.parametrize(
    ("rows", "max_bytes"), [(1, 1 << 20), (64, 1 << 20), (5000, 1 << 20), (64, 900)]
)
def test_shards_hold_every_row_once_and_in_order(
    tmp_path: Path, write: Write, rows: int, max_bytes: int
) -> None:
    file = write(a_table(), tmp_path / "in")
    shards = list(file.shards(Cursor(2, 70), rows, max_bytes))
    plain = a_table().set_column(3, "kind", a_table()["kind"].combine_chunks().dictionary_decode())
    assert rows_of(shards) == plain
    row = 70
    for shard in shards:
        assert (shard.first_row, shard.first_line, shard.kind) == (row, row - 70, COLUMNS)
        assert shard.rows == batch_of_stream(shard.payload).num_rows <= rows
        assert shard.rows == 1 or batch_of_stream(shard.payload).nbytes <= max_bytes
        row += shard.rows
        assert shard.next == Cursor(2, row, row - 70, 0)
    assert file.rows == file.count_rows(threading.Event()) == ROWS


@every_format
@pytest.mark.parametrize("rows", [7, 64, 250])
def test_reading_on_from_any_shard_gives_the_shards_that_followed(
    tmp_path: Path, write: Write, rows: int
) -> None:
    file = write(a_table(), tmp_path / "in")
    shards = list(file.shards(Cursor(), rows, 4000))
    for index in range(0, len(shards), max(1, len(shards) // 12)):
        rest = list(file.shards(shards[index].next, rows, 4000))
        assert [(s.first_row, s.rows, s.checksum, s.next) for s in rest] == [
            (s.first_row, s.rows, s.checksum, s.next) for s in shards[index + 1 :]
        ]
        assert not rest or rows_of(rest) == rows_of(shards[index + 1 :])


@every_format
def test_a_change_of_values_changes_the_checksums_of_their_group(
    tmp_path: Path, write: Write
) -> None:
    changed = a_table().to_pylist()
    changed[650]["n"] = 1
    tables = [a_table(), pa.Table.from_pylist(changed, a_table().schema)]
    one, other = (
        {
            s.first_row: s.checksum
            for s in write(t, tmp_path / str(n)).shards(Cursor(), 100, 1 << 20)
        }
        for n, t in enumerate(tables)
    )
    assert one.keys() == other.keys()
    assert {row for row in one if one[row] != other[row]} == {600, 700, 800}


@every_format
def test_two_columns_of_one_name_are_an_error(tmp_path: Path, write: Write) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
    with pytest.raises(InputError, match="two columns are called 'a'"):
        write(table, tmp_path / "in")


@every_format
def test_a_table_without_rows_is_no_shards(tmp_path: Path, write: Write) -> None:
    file = write(a_table().slice(0, 0), tmp_path / "in")
    assert list(file.shards(Cursor(), 10, 1 << 20)) == []
    assert file.rows == 0


def test_a_file_without_columns_is_an_error(tmp_path: Path) -> None:
    batch = pa.RecordBatch.from_struct_array(pa.array([{}] * 5, pa.struct([])))
    with pa.ipc.new_file(tmp_path / "in", batch.schema) as writer:
        writer.write_batch(batch)
    with pytest.raises(InputError, match="in: has no columns"):
        TableInput("in", ArrowGroups(tmp_path / "in", "in"))


@pytest.mark.parametrize("groups", [ParquetGroups, ArrowGroups])
@pytest.mark.parametrize("content", [b"", b"garbage", b"PAR1" * 10, b"ARROW1\0\0" * 10])
def test_what_is_no_such_file_is_an_error_that_names_it(
    tmp_path: Path, groups: Callable[[Path, str], object], content: bytes
) -> None:
    path = tmp_path / "in"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"the-name: not an? (Parquet|Arrow IPC) file"):
        groups(path, "the-name")


def test_a_column_whose_name_is_no_utf_8_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "in.arrow"
    write_arrow(pa.table({"a-column": ["x"]}), path)
    path.write_bytes(path.read_bytes().replace(b"a-column", b"\xff-column"))
    with pytest.raises(InputError, match="the-name: not an Arrow IPC file"):
        ArrowGroups(path, "the-name")


def test_a_damaged_row_group_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "in"
    file = write_parquet(a_table(), path)
    data = bytearray(path.read_bytes())
    data[4:2000] = b"\xff" * 1996
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"in\.parquet: row group 0 can't be read"):
        list(file.shards(Cursor(), 100, 1 << 20))


def batches(*sizes: int) -> Iterator[pa.RecordBatch]:
    row = 0
    for size in sizes:
        yield pa.RecordBatch.from_pydict({"n": pa.array(range(row, row + size), pa.int64())})
        row += size


@pytest.mark.parametrize("sizes", [(10,), (1,) * 10, (3, 0, 4, 3), (0, 10, 0)])
@pytest.mark.parametrize("dropped", [0, 2, 3, 9, 10])
def test_pending_rows_come_in_the_asked_number_however_they_were_read(
    sizes: tuple[int, ...], dropped: int
) -> None:
    pending = Pending(batches(*sizes))
    pending.drop(dropped)
    taken = []
    while (batch := pending.take(4, 1 << 20)) is not None:
        taken.append(batch.column("n").to_pylist())
    assert taken == [list(range(row, min(10, row + 4))) for row in range(dropped, 10, 4)]


def test_rows_that_are_too_large_together_are_halved() -> None:
    pending = Pending(batches(100))
    sizes = []
    while (batch := pending.take(40, 8 * 11)) is not None:
        sizes.append(batch.num_rows)
    assert sizes == [10] * 10


def arrow_of(column: pa.Array, path: Path) -> TableInput:
    """A file of one column, whatever is in its buffers."""
    batch = pa.RecordBatch.from_arrays([column], ["a"])
    with pa.ipc.new_file(path, batch.schema) as writer:
        writer.write_batch(batch)
    return TableInput("in.arrow", ArrowGroups(path, "in.arrow"))


OFFSETS = b"".join(n.to_bytes(4, "little") for n in (0, 3, 4))
INDEXES = bytes([1, 0, 1, 1, 0, 1, 0, 0])

SOUND = {
    "text": (pa.array(["abc", "d"]), OFFSETS),
    "list": (pa.array([[1, 2, 3], [4]], pa.list_(pa.int8())), OFFSETS),
    "dictionary": (
        pa.DictionaryArray.from_arrays(pa.array(INDEXES, pa.int8()), pa.array(["x", "y"])),
        INDEXES,
    ),
}


@pytest.mark.parametrize(("column", "inside"), SOUND.values(), ids=SOUND)
def test_an_arrow_file_that_points_outside_itself_is_refused(
    tmp_path: Path, column: pa.Array, inside: bytes
) -> None:
    path = tmp_path / "in.arrow"
    arrow_of(column, path)
    data = path.read_bytes()
    assert data.count(inside) == 1
    path.write_bytes(data.replace(inside, inside[:-1] + b"\x7f"))
    file = TableInput("in.arrow", ArrowGroups(path, "in.arrow"))
    with pytest.raises(InputError, match=r"in\.arrow: record batch 0 can't be read"):
        list(file.shards(Cursor(), 10, 1000))


ODD_TEXT = pa.array([b"\xff", b"fine"]).view(pa.string())


@pytest.mark.parametrize(
    "column",
    [
        ODD_TEXT,
        pa.array([[b"\xff"], [b"fine"]]).view(pa.list_(pa.string())),
        pa.StructArray.from_arrays([ODD_TEXT], ["x"]),
        pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), ODD_TEXT, safe=False),
    ],
)
def test_text_that_is_no_utf_8_is_a_matter_of_its_row(tmp_path: Path, column: pa.Array) -> None:
    (shard,) = arrow_of(column, tmp_path / "in.arrow").shards(Cursor(), 10, 1000)
    odd, fine = records_of(shard)
    assert odd.problem is not None
    assert fine.fields is not None
    if not pa.types.is_nested(column.type):
        schema = schema_of_table(pa.schema([("a", plain_type(column.type))]))
        assert batch_of(shard, schema, ["a"])["a"].to_pylist() == [None, "fine"]


class Short:
    """Groups of which the second has less than it says."""

    schema = pa.schema([("a", pa.int64())])
    rows: ClassVar = [2, 2]

    def batches(self, group: int, rows: int) -> Iterator[pa.RecordBatch]:
        yield pa.record_batch([pa.array(range(2 - group))], schema=self.schema)

    def digest(self, group: int) -> bytes:
        return b""


def test_a_group_with_fewer_rows_than_the_file_says_is_refused() -> None:
    shards = TableInput("in.parquet", Short()).shards(Cursor(), 10, 1000)
    assert next(shards).rows == 2
    with pytest.raises(InputError, match=r"in\.parquet: group 1 has other rows than the 2"):
        next(shards)
