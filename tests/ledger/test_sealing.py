"""Sealing a torn segment."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from ledger.ledger_disk import RecordingDisk, dying_at, failing
from ledger.ledger_rows import RUN, answer, put, run_directory
from penstock.disk import Disk
from penstock.errors import LedgerError
from penstock.ledger.sealing import is_abandoned, remove_leftovers, seal
from penstock.ledger.segment import abandoned_marker
from penstock.ledger.segment_reader import SegmentReader

NAME = "0001-0001-0000.arrow"


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    run_dir = run_directory(tmp_path)
    put(run_dir, [answer(0)], [answer(1)], close=False)
    return run_dir.segments / NAME


def rows_in(path: Path) -> list[int]:
    return [row for found in SegmentReader(path, RUN) for row in found.batch["row"].to_pylist()]


def test_a_sealed_segment_is_a_whole_arrow_file_of_the_same_batches(segment: Path) -> None:
    before = [tuple(found)[1:] for found in SegmentReader(segment, RUN)]
    assert seal(Disk(), segment, RUN) == 2
    reader = SegmentReader(segment, RUN)
    assert [tuple(found)[1:] for found in reader] == before
    assert not reader.is_torn
    with pa.ipc.open_file(segment) as file:
        assert file.read_all()["row"].to_pylist() == [0, 1]
    assert [path.name for path in segment.parent.iterdir()] == [NAME]


def test_what_does_not_verify_is_kept_beside_it(segment: Path) -> None:
    torn = segment.read_bytes()[:-100]
    segment.write_bytes(torn)
    assert seal(Disk(), segment, RUN) == 1
    assert rows_in(segment) == [0]
    assert segment.with_suffix(".torn").read_bytes() == torn


@pytest.mark.parametrize("content", [b"", b"ARROW1\0\0", b"garbage"])
def test_a_segment_without_a_batch_becomes_an_empty_one(segment: Path, content: bytes) -> None:
    segment.write_bytes(content)
    assert seal(Disk(), segment, RUN) == 0
    with pa.ipc.open_file(segment) as file:
        assert file.num_record_batches == 0


def test_the_copy_is_durable_before_it_takes_the_name(segment: Path) -> None:
    os.truncate(segment, segment.stat().st_size - 9)
    disk = RecordingDisk()
    seal(disk, segment, RUN)
    copy = "0001-0001-0000.sealing"
    assert [step for step in disk.steps if not step.startswith("write")] == [
        f"unlink {copy}",
        f"open {copy}",
        f"fsync {copy}",
        "link 0001-0001-0000.torn",
        f"rename {NAME}",
        "fsync segments",
        "unlink 0001-0001-0000.abandoned",
    ]


@pytest.mark.parametrize("step", range(9))
def test_wherever_sealing_is_cut_off_the_rows_are_there(segment: Path, step: int) -> None:
    os.truncate(segment, segment.stat().st_size - 9)
    with pytest.raises(LedgerError):
        seal(RecordingDisk(dying_at(step)), segment, RUN)
    assert rows_in(segment) == [0]
    remove_leftovers(Disk(), segment.parent)
    seal(Disk(), segment, RUN)
    assert rows_in(segment) == [0]
    assert {path.suffix for path in segment.parent.iterdir()} <= {".arrow", ".torn"}


def test_an_abandoned_segment_is_none_any_more_once_it_was_copied(segment: Path) -> None:
    abandoned_marker(segment).touch()
    assert is_abandoned(segment)
    seal(Disk(), segment, RUN)
    assert not is_abandoned(segment)
    assert rows_in(segment) == [0, 1]


def test_sealing_leaves_no_descriptor_open(segment: Path) -> None:
    disk = Disk()
    seal(disk, segment, RUN)
    assert disk._paths == {}
    bad = RecordingDisk(failing("fsync", segment.with_suffix(".sealing").name))
    with pytest.raises(LedgerError):
        seal(bad, segment, RUN)
    assert bad._paths == {}
