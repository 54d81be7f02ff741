"""Writing segments: what is durable when, and what a failing disk leaves."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from ledger.ledger_disk import RecordingDisk, Wrong, failing
from ledger.ledger_rows import RUN, answer, dead
from penstock.disk import Disk
from penstock.errors import DiskFull, LedgerError
from penstock.ledger.mark import ShardMark
from penstock.ledger.schema import RESULT_SCHEMA, batch_of
from penstock.ledger.segment import SegmentWriter
from penstock.ledger.segment_reader import SegmentReader
from penstock.ledger.written import Written

FIRST = "0001-0002-0000.arrow"
SECOND = "0001-0002-0001.arrow"


def writer_in(path: Path, disk: Disk | None = None, roll_bytes: int = 1 << 30) -> SegmentWriter:
    return SegmentWriter(disk or Disk(), path, RUN, 1, 2, roll_bytes)


class ClosingDisk(RecordingDisk):
    """A disk that knows which segments were closed."""

    def __init__(self, wrong: Wrong | None = None) -> None:
        super().__init__(wrong)
        self.closed: list[str] = []

    def close(self, fd: int) -> None:
        if (path := self._paths[fd]).suffix == ".arrow":
            self.closed.append(path.name)
        super().close(fd)


def rows_of(told: list[Written]) -> list[int]:
    return [row for one in told for row in memoryview(one.rows).cast("q")]


def rows_in(path: Path) -> list[int]:
    return [row for found in SegmentReader(path, RUN) for row in found.batch["row"].to_pylist()]


def batch(*rows: int) -> pa.RecordBatch:
    return batch_of([answer(row) for row in rows])


def test_a_closed_segment_is_an_arrow_file_like_any_other(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    writer.write(batch(5, 3), [])
    writer.write(batch(4), [])
    writer.close()
    with pa.ipc.open_file(tmp_path / FIRST) as file:
        assert file.schema == RESULT_SCHEMA
        assert file.read_all()["row"].to_pylist() == [5, 3, 4]


def test_a_worker_that_writes_nothing_leaves_no_file(tmp_path: Path) -> None:
    assert writer_in(tmp_path).close() == []
    assert list(tmp_path.iterdir()) == []


def test_what_is_told_of_a_batch_is_what_it_holds(tmp_path: Path) -> None:
    shard = ShardMark(0, 8, -(2**63))
    writer = writer_in(tmp_path)
    results = [answer(1), dead(7), dead(2, "timeout", attempts=5), dead(0)]
    writer.write(batch_of(results), [shard])
    (told,) = writer.sync()
    assert (told.segment, told.batch, told.generation, told.shards) == (FIRST, 0, 0, [shard])
    assert told.end_bytes == (tmp_path / FIRST).stat().st_size
    assert rows_of([told]) == [1, 7, 2, 0]
    assert {name: list(memoryview(rows).cast("q")) for name, rows in told.failed.items()} == {
        "invalid_request": [7, 0],
        "timeout": [2],
    }
    assert (told.spent.input_tokens, told.spent.output_tokens) == (40, 1)
    assert (told.spent.cost_usd, told.spent.attempts) == (0.25, 8)


def test_a_batch_is_told_once_and_only_after_file_and_name_are_durable(tmp_path: Path) -> None:
    disk = RecordingDisk()
    writer = writer_in(tmp_path, disk)
    writer.write(batch(0), [])
    assert disk.steps == [f"open {FIRST}", f"write {FIRST}"]
    assert rows_of(writer.sync()) == [0]
    assert disk.steps[2:] == [f"fsync {FIRST}", f"fsync {tmp_path.name}"]
    writer.write(batch(1), [])
    assert rows_of(writer.sync()) == [1]
    assert disk.steps[4:] == [f"write {FIRST}", f"fsync {FIRST}"]
    assert writer.sync() == []


def test_the_end_of_a_segment_is_durable_when_it_is_closed(tmp_path: Path) -> None:
    disk = RecordingDisk()
    writer = writer_in(tmp_path, disk)
    writer.write(batch(0), [])
    writer.sync()
    disk.steps.clear()
    writer.close()
    assert disk.steps == [f"write {FIRST}", f"fsync {FIRST}"]
    assert disk._paths == {}


def test_a_batch_is_on_its_way_to_the_disk_in_one_write(tmp_path: Path) -> None:
    disk = RecordingDisk()
    writer = writer_in(tmp_path, disk)
    writer.write(batch_of([answer(row, output="x" * 9_000) for row in range(900)]), [])
    assert disk.steps.count(f"write {FIRST}") == 1
    writer.close()


def test_a_full_segment_rolls_and_both_are_told(tmp_path: Path) -> None:
    writer = writer_in(tmp_path, roll_bytes=1)
    writer.write(batch(0), [])
    writer.write(batch(1), [])
    told = writer.sync()
    assert [(one.segment, one.batch) for one in told] == [(FIRST, 0), (SECOND, 0)]
    writer.close()
    for name, rows in ((FIRST, [0]), (SECOND, [1])):
        with pa.ipc.open_file(tmp_path / name) as file:
            assert file.read_all()["row"].to_pylist() == rows


def test_a_failed_fsync_abandons_the_segment_and_tells_nothing_of_it(tmp_path: Path) -> None:
    disk = RecordingDisk()
    writer = writer_in(tmp_path, disk)
    writer.write(batch(0), [])
    writer.sync()
    writer.write(batch(1, 2), [])
    disk.wrong = failing("fsync", FIRST)
    with pytest.raises(LedgerError, match=f"can't fsync .*{FIRST}"):
        writer.sync()
    assert (tmp_path / FIRST).with_suffix(".abandoned").exists()

    disk.wrong = lambda verb, path: None
    writer.write(batch(1), [])
    assert [(one.segment, one.batch) for one in writer.close()] == [(SECOND, 0)]
    assert [step for step in disk.steps if step == f"fsync {FIRST}"] == [f"fsync {FIRST}"]
    assert f"write {FIRST}" not in disk.steps[disk.steps.index(f"open {SECOND}") :]


def test_a_segment_is_marked_as_abandoned_before_anything_else_can_happen(tmp_path: Path) -> None:
    """A worker that dies in between must not leave a segment that looks like any other."""
    disk = RecordingDisk(failing("fsync", FIRST))
    writer = writer_in(tmp_path, disk)
    writer.write(batch(0), [])
    with pytest.raises(LedgerError):
        writer.sync()
    marker = FIRST.replace(".arrow", ".abandoned")
    after = disk.steps[disk.steps.index(f"write {FIRST}") + 1 :]
    assert after[:2] == [f"unlink {marker}", f"open {marker}"]


def test_a_name_that_can_not_be_made_durable_is_a_failed_fsync(tmp_path: Path) -> None:
    writer = writer_in(tmp_path, RecordingDisk(failing("fsync", tmp_path.name)))
    writer.write(batch(0), [])
    with pytest.raises(LedgerError, match="can't fsync"):
        writer.sync()


def test_a_failed_fsync_abandons_no_other_segment(tmp_path: Path) -> None:
    disk = RecordingDisk(failing("fsync", FIRST))
    writer = writer_in(tmp_path, disk, roll_bytes=1)
    writer.write(batch(0), [])
    writer.write(batch(1), [])
    with pytest.raises(LedgerError, match=f"can't fsync .*{FIRST}"):
        writer.sync()
    assert f"fsync {SECOND}" in disk.steps
    assert [path.name for path in tmp_path.glob("*.abandoned")] == ["0001-0002-0000.abandoned"]


def test_no_space_for_a_batch_leaves_those_before_it_to_be_told(tmp_path: Path) -> None:
    disk = RecordingDisk()
    writer = writer_in(tmp_path, disk)
    writer.write(batch(0), [])
    disk.wrong = failing("write", FIRST, errno.ENOSPC)
    with pytest.raises(DiskFull):
        writer.write(batch(1), [])
    assert rows_of(writer.sync()) == [0]
    disk.wrong = lambda verb, path: None
    writer.write(batch(1), [])
    assert [(one.segment, one.batch) for one in writer.close()] == [(SECOND, 0)]


class HalfDisk(Disk):
    """A disk with room for half of each write after the first."""

    writes = 0

    def write(self, fd: int, data: bytes | memoryview) -> None:
        self.writes += 1
        if self.writes == 2:
            super().write(fd, data[: len(data) // 2])
            raise DiskFull("no space left")
        super().write(fd, data)


def test_half_a_batch_at_the_end_of_a_full_disk_hides_nothing_before_it(tmp_path: Path) -> None:
    writer = writer_in(tmp_path, HalfDisk())
    writer.write(batch(0), [])
    with pytest.raises(DiskFull):
        writer.write(batch(1), [])
    writer.write(batch(2), [])
    assert rows_of(writer.close()) == [0, 2]
    assert (rows_in(tmp_path / FIRST), rows_in(tmp_path / SECOND)) == ([0], [2])


def test_no_space_for_a_footer_is_no_failure(tmp_path: Path) -> None:
    disk = RecordingDisk()
    writer = writer_in(tmp_path, disk)
    writer.write(batch(0), [])
    disk.wrong = failing("write", FIRST, errno.ENOSPC)
    assert rows_of(writer.close()) == [0]


def test_a_batch_of_two_generations_is_refused(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    with pytest.raises(ValueError, match="generations"):
        writer.write(batch_of([answer(0), answer(1, generation=1)]), [])
    writer.write(batch_of([answer(1, generation=1)]), [])
    assert [one.generation for one in writer.close()] == [1]


class SlowDisk(Disk):
    """A disk whose first fsync waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.syncing = threading.Event()
        self.go_on = threading.Event()

    def fsync(self, fd: int) -> None:
        self.syncing.set()
        assert self.go_on.wait(10)
        super().fsync(fd)


def test_batches_are_written_while_an_fsync_is_under_way_and_told_by_the_next(
    tmp_path: Path,
) -> None:
    disk = SlowDisk()
    writer = writer_in(tmp_path, disk, roll_bytes=30_000)
    writer.write(batch(0), [])
    told: list[list[Written]] = []
    thread = threading.Thread(target=lambda: told.append(writer.sync()))
    thread.start()
    assert disk.syncing.wait(10)
    for row in range(1, 20):  # it rolls meanwhile
        writer.write(batch(row), [])
    disk.go_on.set()
    thread.join(10)
    assert rows_of(told[0]) == [0]
    assert rows_of(writer.close()) == list(range(1, 20))
    assert len(list(tmp_path.iterdir())) > 1


def test_what_is_written_during_a_failing_fsync_is_lost_with_it(tmp_path: Path) -> None:
    disk = SlowDisk()
    writer = writer_in(tmp_path, disk)
    writer.write(batch(0), [])
    failures: list[LedgerError] = []

    def sync() -> None:
        try:
            writer.sync()
        except LedgerError as error:
            failures.append(error)

    thread = threading.Thread(target=sync)
    thread.start()
    assert disk.syncing.wait(10)
    writer.write(batch(1), [])
    (fd,) = disk._paths
    disk.close(fd)  # so that the fsync fails
    disk.go_on.set()
    thread.join(10)
    assert len(failures) == 1
    writer.write(batch(2), [])
    told = writer.close()
    assert ([one.segment for one in told], rows_of(told)) == ([SECOND], [2])


def test_batches_are_numbered_by_their_place_in_the_file(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    for row in range(3):
        writer.write(batch(row), [])
    told = writer.close()
    assert [one.batch for one in told] == [0, 1, 2]
    assert rows_in(tmp_path / FIRST) == [0, 1, 2]


def test_a_segment_that_rolled_is_closed_once_it_is_told_and_synced_no_more(tmp_path: Path) -> None:
    disk = ClosingDisk()
    writer = writer_in(tmp_path, disk, roll_bytes=1)
    writer.write(batch(0), [])
    assert disk.closed == []
    writer.sync()
    assert disk.closed == [FIRST]
    writer.write(batch(1), [])
    writer.close()
    assert disk.closed == [FIRST, SECOND]
    assert disk.steps.count(f"fsync {FIRST}") == 1


def test_an_abandoned_segment_is_closed(tmp_path: Path) -> None:
    disk = ClosingDisk(failing("fsync", FIRST))
    writer = writer_in(tmp_path, disk)
    writer.write(batch(0), [])
    with pytest.raises(LedgerError):
        writer.sync()
    assert FIRST in disk.closed
