"""An output appears whole and durable, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.ledger.arrow_output import ArrowOutput
from penstock.ledger.csv_output import CsvOutput
from penstock.ledger.disk import Disk, DiskFull
from penstock.ledger.output_file import OutputFile
from penstock.ledger.parquet_output import ParquetOutput

SCHEMA = pa.schema([("a", pa.int64()), ("b", pa.string())])
BATCH = pa.RecordBatch.from_pylist([{"a": 1, "b": "x" * 100}] * 30_000, SCHEMA)


class SmallDisk(Disk):
    """A disk that is full after some bytes, and tells what it did."""

    def __init__(self, room_bytes: int = 1 << 40) -> None:
        super().__init__()
        self.room_bytes = room_bytes
        self.done: list[str] = []

    def write(self, fd: int, data: bytes | memoryview) -> None:
        self.room_bytes -= len(data)
        if self.room_bytes < 0:
            raise DiskFull("no space left")
        super().write(fd, data)
        self.done.append("write")

    def fsync(self, fd: int) -> None:
        super().fsync(fd)
        self.done.append("fsync")

    def fsync_dir(self, path: Path) -> None:
        super().fsync_dir(path)
        self.done.append("fsync_dir")

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self.done.append("rename")


def test_content_is_durable_before_it_has_its_name(tmp_path: Path) -> None:
    disk = SmallDisk()
    file = OutputFile(disk, tmp_path / "o.csv", "r")
    file.sink.write(b"rows")
    file.finish()
    assert not (tmp_path / "o.csv").exists()
    file.publish()
    assert (tmp_path / "o.csv").read_bytes() == b"rows"
    assert [one for one in disk.done if one != "fsync"][:2] == ["write", "rename"]
    assert disk.done.index("fsync") < disk.done.index("rename") < disk.done.index("fsync_dir")
    assert list(tmp_path.iterdir()) == [tmp_path / "o.csv"]


def test_what_is_discarded_leaves_the_target_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "o.csv"
    target.write_bytes(b"old")
    file = OutputFile(Disk(), target, "r")
    file.sink.write(b"new")
    file.discard()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_export_left_is_overwritten(tmp_path: Path) -> None:
    OutputFile(Disk(), tmp_path / "o.csv", "r").sink.flush()
    file = OutputFile(Disk(), tmp_path / "o.csv", "r")
    file.sink.write(b"rows")
    file.finish()
    file.publish()
    assert list(tmp_path.iterdir()) == [tmp_path / "o.csv"]


@pytest.mark.parametrize(
    "writer",
    [
        lambda sink: ParquetOutput(sink, SCHEMA),
        lambda sink: ArrowOutput(sink, SCHEMA),
        lambda sink: CsvOutput(sink, SCHEMA),
    ],
)
def test_a_full_disk_is_told_in_the_words_of_the_disk(
    tmp_path: Path, writer: Callable[..., ParquetOutput]
) -> None:
    file = OutputFile(SmallDisk(1000), tmp_path / "o", "r")
    with pytest.raises(DiskFull):
        output = writer(file.sink)
        for _ in range(20):
            output.write(BATCH)
        output.close()
        file.finish()
    file.discard()
    assert list(tmp_path.iterdir()) == []
