"""Recovery: whatever happened, what is there is counted once, durable, and not asked for again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.ledger_disk import QuickDisk, RecordingDisk, dying_at, failing
from ledger.ledger_rows import RUN, answer, dead, put, run_directory
from penstock.disk import Disk
from penstock.errors import LedgerError
from penstock.ledger.account import Account
from penstock.ledger.checkpoint import (
    VerifiedLength,
    read_checkpoint,
    void_checkpoint,
    write_checkpoint,
)
from penstock.ledger.choice import Copy, choose
from penstock.ledger.generation import begin_redo
from penstock.ledger.mark import SegmentName, ShardMark
from penstock.ledger.recovery import Recovered, absorb, plan, recover, reread, survey
from penstock.ledger.rows import RowSet
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.segment import abandoned_marker
from penstock.ledger.segment_reader import SegmentReader
from penstock.ledger.written import SUMMED, Spent, Written
from penstock.record import SUCCEEDED, Result
from penstock.sources.shard import Cursor

WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from ledger.ledger_rows import RUN, answer
from penstock.disk import Disk
from penstock.ledger.schema import batch_of
from penstock.ledger.segment import SegmentWriter
writer = SegmentWriter(Disk(), Path(sys.argv[1]), RUN, 1, 1, roll_bytes=100_000)
row = 0
while True:
    writer.write(batch_of([answer(row), answer(row + 1)]), [])
    row += 2
    if row % 50 == 0:
        told = writer.sync()
        print(memoryview(told[-1].rows).cast("q")[-1], flush=True)
"""

CURSOR = Cursor(row=2, offset=77, line=3)
FIRST = SegmentName(1, 1, 0)


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDirectory:
    return run_directory(tmp_path)


def count(account: Account, run_dir: RunDirectory, told: list[Written]) -> None:
    for one in told:
        account.add(one, lambda written: reread(run_dir, RUN, written))


def checkpoint(run_dir: RunDirectory, *told: list[Written]) -> None:
    """A checkpoint of what was told so far."""
    account = Account()
    for batches in told:
        count(account, run_dir, batches)
    made = account.checkpoint(run_id=RUN, epoch=1, generation=0, written_at=1.0, cursor=CURSOR)
    write_checkpoint(Disk(), run_dir, made)


def figures(found: Recovered) -> tuple[object, ...]:
    account = found.account
    done = {number: list(rows) for number, rows in account.done.items() if rows}
    return done, account.ended, account.failures, account.spent, account.duplicates


def true_figures(run_dir: RunDirectory) -> tuple[object, ...]:
    """The figures by the words of the design: all verified copies of a row, then the decision."""
    copies: dict[int, dict[Copy, dict[str, object]]] = {}
    for name in run_dir.segment_sizes():
        for found in SegmentReader(run_dir.segment_path(name), RUN):
            for position, row in enumerate(found.batch.to_pylist()):
                copy = Copy(
                    row["generation"],
                    row["outcome"] == SUCCEEDED,
                    *name,
                    found.mark.batch,
                    position,
                )
                copies.setdefault(row["row"], {})[copy] = row
    done: dict[int, set[int]] = {}
    failures: dict[str, int] = {}
    spent, duplicates = Spent(), 0
    for number, held in copies.items():
        generations = {copy.generation for copy in held}
        duplicates += len(held) - len(generations)
        for generation in generations:
            done.setdefault(generation, set()).add(number)
        row = held[choose(held)]
        spent.add(Spent(**{name: row[name] or 0 for name in SUMMED}))  # type: ignore[arg-type]
        if row["outcome"] != SUCCEEDED:
            name = str(row["error_class"])
            failures[name] = failures.get(name, 0) + 1
    ordered = {generation: sorted(rows) for generation, rows in done.items()}
    return ordered, len(copies), failures, spent, duplicates


class Worker(NamedTuple):
    """What a worker of a made-up history did, and how it ended."""

    batches: list[list[tuple[int, str | None]]]  # row, error class
    checkpointed: int  # so many of its batches are in the checkpoint
    ending: str  # closed, killed, cut


ROW = st.tuples(st.integers(0, 12), st.sampled_from([None, None, "timeout", "invalid_request"]))
WORKERS = st.builds(
    Worker,
    st.lists(st.lists(ROW, min_size=1, max_size=3), min_size=1, max_size=3),
    st.integers(0, 3),
    st.sampled_from(["closed", "killed", "cut"]),
)


def result_of(row: int, error_class: str | None, generation: int) -> Result:
    if error_class is None:
        return answer(row, generation=generation)
    return dead(row, error_class, generation=generation)


@contextmanager
def history(workers: list[Worker], redo_from: int, has_checkpoint: bool) -> Iterator[RunDirectory]:
    """A run directory in which each worker was an epoch; those from `redo_from` on redid rows."""
    with tempfile.TemporaryDirectory() as folder:
        run_dir = run_directory(Path(folder))
        account = Account()
        redone = [
            row for worker in workers[redo_from:] for part in worker.batches for row, _ in part
        ]
        if redone:
            begin_redo(QuickDisk(), run_dir, RUN, RowSet((row, row + 1) for row in redone), {}, "")
        for epoch, worker in enumerate(workers, 1):
            generation = int(epoch > redo_from)
            batches = [[result_of(*row, generation) for row in part] for part in worker.batches]
            told = put(
                run_dir, *batches, epoch=epoch, close=worker.ending == "closed", disk=QuickDisk()
            )
            count(account, run_dir, told[: worker.checkpointed])
            if worker.ending == "cut" and worker.checkpointed < len(told):
                os.truncate(run_dir.segments / told[0].segment, told[-1].end_bytes - 50)
        if has_checkpoint:
            made = account.checkpoint(
                run_id=RUN, epoch=1, generation=0, written_at=0.0, cursor=CURSOR
            )
            write_checkpoint(QuickDisk(), run_dir, made)
        yield run_dir


@settings(max_examples=60, deadline=None)
@given(st.lists(WORKERS, min_size=1, max_size=3), st.integers(1, 3), st.booleans())
def test_any_history_is_recovered_to_its_true_figures_again_and_again(
    workers: list[Worker], redo_from: int, has_checkpoint: bool
) -> None:
    with history(workers, redo_from, has_checkpoint) as run_dir:
        truth = true_figures(run_dir)
        looked = survey(run_dir, RUN)
        assert figures(looked) == truth
        found = recover(QuickDisk(), run_dir, RUN)
        assert figures(found) == truth
        assert found.torn == looked.torn
        again = recover(QuickDisk(), run_dir, RUN)
        assert again.torn == []
        assert figures(again) == truth == true_figures(run_dir)


def test_wherever_recovery_is_cut_off_the_next_one_finds_the_same(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path / "first")
    told = put(run_dir, [answer(0)], [dead(1)], close=False)
    checkpoint(run_dir, told[:1])
    put(run_dir, [answer(1), answer(2)], worker=2)
    os.truncate(run_dir.segments / told[0].segment, told[1].end_bytes - 9)
    truth, step, is_over = true_figures(run_dir), 0, False
    while not is_over:
        twin = RunDirectory(tmp_path / str(step) / "out.run")
        shutil.copytree(run_dir.path, twin.path)
        try:
            recover(RecordingDisk(dying_at(step)), twin, RUN)
            is_over = True
        except LedgerError:
            assert figures(survey(twin, RUN)) == truth
        assert figures(recover(Disk(), twin, RUN)) == truth
        step += 1
    assert step > 8


def test_every_segment_is_fsynced_before_recovery_counts_its_rows(run_dir: RunDirectory) -> None:
    put(run_dir, [answer(0)])
    put(run_dir, [answer(1)], worker=2, close=False)
    disk = RecordingDisk()
    recover(disk, run_dir, RUN)
    synced = [step for step in disk.steps if step.startswith("fsync")]
    assert synced[:3] == [
        "fsync segments",
        "fsync 0001-0001-0000.arrow",
        "fsync 0001-0002-0000.arrow",
    ]
    with pytest.raises(LedgerError, match=r"can't fsync .*0001-0002-0000\.arrow"):
        recover(RecordingDisk(failing("fsync", "0001-0002-0000.arrow")), run_dir, RUN)


def test_a_survey_changes_nothing(run_dir: RunDirectory) -> None:
    put(run_dir, [answer(0)], close=False)
    (run_dir.segments / "0001-0009-0000.sealing").touch()
    before = {path: path.stat() for path in run_dir.path.rglob("*")}
    assert survey(run_dir, RUN).torn == [FIRST]
    assert {path: path.stat() for path in run_dir.path.rglob("*")} == before


def test_a_trusted_checkpoint_spares_reading_what_it_covers(run_dir: RunDirectory) -> None:
    told = put(run_dir, [answer(0)], [answer(1)], [dead(4)], shards=[ShardMark(0, 9, -1)])
    checkpoint(run_dir, told[:2])
    # Damage where only a full reading would see it.
    path = run_dir.segments / told[0].segment
    data = bytearray(path.read_bytes())
    data[data.index(b"answer 0")] ^= 1
    path.write_bytes(data)
    found = recover(Disk(), run_dir, RUN)
    assert list(found.account.done_in(0)) == [0, 1, 4]
    assert (found.cursor, found.voided, found.torn) == (CURSOR, "", [])
    assert found.account.shards == {0: ShardMark(0, 9, -1)}
    assert found.account.segments[FIRST] == VerifiedLength(told[2].end_bytes, 3)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: os.truncate(path, 3000), "has 3000 bytes of"),
    ],
)
def test_a_segment_that_is_missing_or_short_voids_the_checkpoint(
    run_dir: RunDirectory, harm: object, reason: str
) -> None:
    told = put(run_dir, [answer(0)])
    checkpoint(run_dir, told, put(run_dir, [answer(1)], worker=2))
    harm(run_dir.segments / told[0].segment)  # type: ignore[operator]
    found = recover(Disk(), run_dir, RUN)
    assert list(found.account.done_in(0)) == [1]
    assert reason in found.voided
    assert found.cursor is None


def test_a_listed_segment_that_lost_verified_batches_voids_the_checkpoint(
    run_dir: RunDirectory,
) -> None:
    told = put(run_dir, [answer(0)], [answer(1)], close=False)
    checkpoint(run_dir, told)
    path = run_dir.segments / told[0].segment
    data = bytearray(path.read_bytes())
    data[data.index(b"answer 1")] ^= 1
    path.write_bytes(data)
    # It lacks its end, so that it is sealed, and by that wholly read.
    found = recover(Disk(), run_dir, RUN)
    assert list(found.account.done_in(0)) == [0]
    assert "has lost batches" in found.voided
    assert path.with_suffix(".torn").read_bytes() == data


def test_what_rotted_under_a_checkpoint_is_asked_again_once_that_is_voided(
    run_dir: RunDirectory,
) -> None:
    told = put(run_dir, [answer(0)], [answer(1)])
    checkpoint(run_dir, told)
    path = run_dir.segments / told[0].segment
    data = bytearray(path.read_bytes())
    data[data.index(b"answer 1")] ^= 1
    path.write_bytes(data)
    assert list(recover(Disk(), run_dir, RUN).account.done_in(0)) == [0, 1]
    void_checkpoint(Disk(), run_dir)
    assert list(recover(Disk(), run_dir, RUN).account.done_in(0)) == [0]
    assert path.with_suffix(".torn").read_bytes() == data


def test_the_plan_reads_all_without_a_checkpoint_and_only_the_rest_with_one(
    run_dir: RunDirectory,
) -> None:
    told = put(run_dir, [answer(0)])
    checkpoint(run_dir, told)
    known = read_checkpoint(run_dir, RUN)
    other = SegmentName(1, 2, 0)
    sizes = {other: 99, FIRST: 10**6}
    start = VerifiedLength(0, 0)
    length = VerifiedLength(told[0].end_bytes, 1)
    assert plan(None, sizes, RowSet()) == (None, {FIRST: start, other: start}, "")
    assert plan(known, sizes, RowSet()) == (known, {FIRST: length, other: start}, "")
    assert plan(known, sizes, RowSet([(0, 1)])).checkpoint is None
    assert known is not None
    twice = msgspec.structs.replace(known, duplicates=1)
    assert plan(twice, sizes, RowSet()).checkpoint is None
    assert "bought twice" in plan(twice, sizes, RowSet()).voided


def test_a_segment_that_lacks_a_single_verified_byte_voids_the_checkpoint(
    run_dir: RunDirectory,
) -> None:
    (told,) = put(run_dir, [answer(0)])
    checkpoint(run_dir, [told])
    known = read_checkpoint(run_dir, RUN)
    assert plan(known, {FIRST: told.end_bytes}, RowSet()).checkpoint is known
    assert "verified ones" in plan(known, {FIRST: told.end_bytes - 1}, RowSet()).voided


def test_rows_bought_twice_after_the_checkpoint_are_counted_by_the_decision(
    run_dir: RunDirectory,
) -> None:
    late = put(run_dir, [dead(0)], worker=2)
    checkpoint(run_dir, late)
    put(run_dir, [answer(0)], worker=1)
    found = recover(Disk(), run_dir, RUN)
    assert (found.account.succeeded, found.account.duplicates) == (1, 1)
    assert "bought twice" in found.voided


def test_an_abandoned_segment_is_copied_rather_than_trusted(run_dir: RunDirectory) -> None:
    disk = RecordingDisk(failing("fsync", "0001-0001-0000.arrow"))
    with pytest.raises(LedgerError, match="can't fsync"):
        put(run_dir, [answer(0)], disk=disk)
    path = run_dir.segment_path(FIRST)
    inode = path.stat().st_ino
    found = recover(Disk(), run_dir, RUN)
    assert found.account.ended == 1
    assert path.stat().st_ino != inode
    assert not abandoned_marker(path).exists()


def test_what_a_dead_worker_did_not_tell_is_absorbed_and_no_more(run_dir: RunDirectory) -> None:
    account = Account()
    told = put(run_dir, [answer(0)], [answer(1)], [dead(2)], epoch=2, close=False)
    os.truncate(run_dir.segments / told[0].segment, told[2].end_bytes - 1)
    put(run_dir, [answer(8)], epoch=2, worker=2)
    put(run_dir, [answer(9)], epoch=1)
    count(account, run_dir, told[:1])
    disk = RecordingDisk()
    assert absorb(disk, run_dir, RUN, 2, 1, account.segments) == [told[1]]
    assert disk.steps == ["fsync 0002-0001-0000.arrow", "fsync segments"]
    count(account, run_dir, told[1:2])
    assert absorb(Disk(), run_dir, RUN, 2, 1, account.segments) == []


def test_a_dead_workers_abandoned_segment_is_copied_too(run_dir: RunDirectory) -> None:
    disk = RecordingDisk(failing("fsync", "0001-0001-0000.arrow"))
    with pytest.raises(LedgerError, match="can't fsync"):
        put(run_dir, [answer(0)], disk=disk)
    (found,) = absorb(Disk(), run_dir, RUN, 1, 1, {})
    assert list(memoryview(found.rows).cast("q")) == [0]
    assert not abandoned_marker(run_dir.segment_path(FIRST)).exists()


def test_an_empty_run_has_nothing(run_dir: RunDirectory) -> None:
    found = recover(Disk(), run_dir, RUN)
    assert (found.account.ended, found.cursor, found.torn, found.voided) == (0, None, [], "")


def test_what_a_killed_worker_told_is_there_and_nothing_is_torn_from_the_middle(
    run_dir: RunDirectory,
) -> None:
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", WORKER, str(run_dir.segments), tests]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        told = [int(worker.stdout.readline()) for _ in range(10)]
        worker.kill()
        told += [int(line) for line in worker.stdout]
    account = Account()
    count(account, run_dir, absorb(Disk(), run_dir, RUN, 1, 1, account.segments))
    ranges = list(account.done_in(0).ranges())
    assert len(ranges) == 1
    assert ranges[0][0] == 0
    assert ranges[0][1] > told[-1]
    assert figures(recover(Disk(), run_dir, RUN)) == true_figures(run_dir)


def test_what_an_interrupted_sealing_left_is_removed(run_dir: RunDirectory) -> None:
    put(run_dir, [answer(0)])
    (run_dir.segments / "0001-0009-0000.sealing").touch()
    assert recover(Disk(), run_dir, RUN).torn == []
    assert [path.name for path in run_dir.segments.iterdir()] == ["0001-0001-0000.arrow"]
