"""An output appears whole and durable, or not at all."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pytest

from ledger.ledger_disk import RecordingDisk, failing
from penstock.disk import Disk
from penstock.errors import DiskFull, LedgerError
from penstock.ledger.arrow_output import ArrowOutput
from penstock.ledger.csv_output import CsvOutput
from penstock.ledger.formats import Output
from penstock.ledger.output_file import OutputFile
from penstock.ledger.parquet_output import ParquetOutput

SCHEMA = pa.schema([("a", pa.int64()), ("b", pa.string())])
BATCH = pa.RecordBatch.from_pylist([{"a": 1, "b": "x" * 100}] * 30_000, SCHEMA)


def test_content_is_durable_before_it_has_its_name(tmp_path: Path) -> None:
    disk = RecordingDisk()
    with OutputFile(disk, tmp_path / "o.csv", "r") as file:
        file.sink.write(b"rows")
        file.finish()
        assert not (tmp_path / "o.csv").exists()
        file.publish()
    assert (tmp_path / "o.csv").read_bytes() == b"rows"
    assert disk.steps[2:6] == [
        "write .o.csv.r.tmp",
        "fsync .o.csv.r.tmp",
        "rename o.csv",
        f"fsync {tmp_path.name}",
    ]
    assert list(tmp_path.iterdir()) == [tmp_path / "o.csv"]


def test_what_is_not_published_leaves_the_target_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "o.csv"
    target.write_bytes(b"old")
    disk = Disk()
    with OutputFile(disk, target, "r") as file:
        file.sink.write(b"new")
    assert disk._paths == {}, "a descriptor is open"
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_export_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".o.csv.r.tmp").write_bytes(b"half a row")
    with OutputFile(Disk(), tmp_path / "o.csv", "r") as file:
        file.sink.write(b"rows")
        file.finish()
        file.publish()
    assert (tmp_path / "o.csv").read_bytes() == b"rows"
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
    tmp_path: Path, writer: Callable[[BinaryIO], Output]
) -> None:
    disk = RecordingDisk(failing("write", ".o.r.tmp", errno.ENOSPC))
    with pytest.raises(DiskFull), OutputFile(disk, tmp_path / "o", "r") as file:
        output = writer(file.sink)
        for _ in range(20):
            output.write(BATCH)
        output.close()
        file.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_fsync_publishes_nothing(tmp_path: Path) -> None:
    disk = RecordingDisk(failing("fsync", ".o.r.tmp"))
    with pytest.raises(LedgerError), OutputFile(disk, tmp_path / "o", "r") as file:
        file.sink.write(b"rows")
        file.finish()
    assert list(tmp_path.iterdir()) == []
