"""The checkpoint: whole or nothing, and always one that is whole."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ledger_disk import RecordingDisk, dying_at
from ledger.ledger_rows import RUN, run_directory
from penstock.disk import Disk
from penstock.errors import LedgerError
from penstock.ledger.checkpoint import (
    SCHEMA,
    Checkpoint,
    VerifiedLength,
    decode,
    encode,
    read_checkpoint,
    void_checkpoint,
    write_checkpoint,
)
from penstock.ledger.mark import SegmentName, ShardMark
from penstock.ledger.row_page import PAGE_ROWS
from penstock.ledger.rows import RowSet
from penstock.ledger.sealed_table import unpack
from penstock.ledger.written import Spent
from penstock.sources.shard import Cursor

INT64 = st.integers(-(2**63), 2**63 - 1)
SMALL = st.integers(0, 2**31)
ROWS = st.sets(st.integers(0, 300)).map(lambda rows: RowSet((row, row + 1) for row in rows))


def made(epoch: int = 1) -> Checkpoint:
    return Checkpoint(
        run_id=RUN,
        epoch=epoch,
        generation=0,
        written_at=1e9 + 0.1,
        cursor=Cursor(file=1, row=80, offset=4096, line=81),
        spent=Spent(1, 2, 3, 4, 0.1 + 0.2, 6),
        duplicates=0,
        done={0: RowSet([(0, 88), (90, 91)])},
        failed={"timeout": RowSet([(5, 6)])},
        shards=[ShardMark(80, 20, -(2**63))],
        segments={SegmentName(1, 1, 0): VerifiedLength(9000, 3)},
    )


def around(data: bytes) -> Checkpoint | None:
    found = unpack(data, SCHEMA)
    return decode(*found) if found else None


@given(
    st.builds(
        Checkpoint,
        run_id=st.text(max_size=5),
        epoch=SMALL,
        generation=SMALL,
        written_at=st.floats(0, 1e10),
        cursor=st.none() | st.builds(Cursor, SMALL, SMALL, SMALL, SMALL),
        spent=st.builds(Spent, SMALL, SMALL, SMALL, SMALL, st.floats(0, 1e9), SMALL),
        duplicates=SMALL,
        done=st.dictionaries(SMALL, ROWS, max_size=2),
        failed=st.dictionaries(st.text(max_size=3), ROWS, max_size=2),
        shards=st.lists(st.builds(ShardMark, SMALL, SMALL, INT64), max_size=2),
        segments=st.dictionaries(
            st.builds(SegmentName, SMALL, SMALL, SMALL),
            st.builds(VerifiedLength, SMALL, SMALL),
            max_size=2,
        ),
    )
)
def test_a_checkpoint_comes_back_as_it_was(checkpoint: Checkpoint) -> None:
    assert around(encode(checkpoint)) == checkpoint


@pytest.mark.parametrize("pages", [1, 3])
def test_what_is_left_out_of_a_checkpoint_is_there_when_it_is_read(pages: int) -> None:
    """Of each set the rows up to which all are in it: each begins elsewhere."""
    full = pages * PAGE_ROWS
    checkpoint = made()
    checkpoint.done = {0: RowSet([(0, full + 5), (full + 9, full + 11)]), 1: RowSet([(3, 4)])}
    checkpoint.failed = {
        "timeout": RowSet([(0, PAGE_ROWS), (full + 9, full + 10)]),
        "refused": RowSet([(PAGE_ROWS - 1, PAGE_ROWS + 1)]),
    }
    found = around(encode(checkpoint))
    assert found == checkpoint
    assert {name: len(rows) for name, rows in found.failed.items()} == {
        name: len(rows) for name, rows in checkpoint.failed.items()
    }
    assert [len(rows) for rows in found.done.values()] == [full + 7, 1]


def test_no_prefix_and_no_flipped_bit_gives_another_checkpoint() -> None:
    data, chance = encode(made()), random.Random(11)
    assert all(around(data[:length]) is None for length in range(len(data)))
    outcomes = set()
    for _ in range(600):
        flipped = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 9))):
            flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        found = around(bytes(flipped))
        assert found in (None, made())
        outcomes.add(found is None)
    assert outcomes == {True, False}


def test_rows_that_failed_here_and_there_make_no_large_checkpoint() -> None:
    scattered = RowSet((row, row + 1) for row in range(0, 1_000_000, 50))
    checkpoint = made()
    checkpoint.failed = {"timeout": scattered}
    assert len(encode(checkpoint)) < 50_000


def test_the_newest_is_read_and_the_one_before_it_where_that_is_damaged(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path)
    assert read_checkpoint(run_dir, RUN) is None
    write_checkpoint(Disk(), run_dir, made(1))
    write_checkpoint(Disk(), run_dir, made(2))
    assert read_checkpoint(run_dir, RUN) == made(2)
    os.truncate(run_dir.checkpoint_path, 500)
    assert read_checkpoint(run_dir, RUN) == made(1)
    run_dir.previous_checkpoint_path.write_bytes(b"")
    assert read_checkpoint(run_dir, RUN) is None


def test_a_checkpoint_of_another_run_is_none(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path)
    write_checkpoint(Disk(), run_dir, made())
    assert read_checkpoint(run_dir, "other") is None


@pytest.mark.parametrize("step", range(7))
def test_wherever_writing_is_cut_off_a_whole_checkpoint_is_there(tmp_path: Path, step: int) -> None:
    run_dir = run_directory(tmp_path)
    write_checkpoint(Disk(), run_dir, made(1))
    write_checkpoint(Disk(), run_dir, made(2))
    with pytest.raises(LedgerError):
        write_checkpoint(RecordingDisk(dying_at(step)), run_dir, made(3))
    found = read_checkpoint(run_dir, RUN)
    assert found is not None
    assert found.epoch in (2, 3)
    write_checkpoint(Disk(), run_dir, made(4))
    assert read_checkpoint(run_dir, RUN) == made(4)


def test_a_checkpoint_is_durable_before_it_takes_the_name(tmp_path: Path) -> None:
    run_dir, disk = run_directory(tmp_path), RecordingDisk()
    write_checkpoint(Disk(), run_dir, made(1))
    write_checkpoint(disk, run_dir, made(2))
    assert disk.steps == [
        "unlink checkpoint.arrow.new",
        "open checkpoint.arrow.new",
        "write checkpoint.arrow.new",
        "fsync checkpoint.arrow.new",
        "rename checkpoint.previous.arrow",
        "rename checkpoint.arrow",
        "fsync out.run",
    ]


def test_a_voided_checkpoint_is_gone_with_the_one_before_it(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path)
    write_checkpoint(Disk(), run_dir, made(1))
    write_checkpoint(Disk(), run_dir, made(2))
    void_checkpoint(Disk(), run_dir)
    assert read_checkpoint(run_dir, RUN) is None


def test_a_checkpoint_is_voided_durably(tmp_path: Path) -> None:
    disk = RecordingDisk()
    void_checkpoint(disk, run_directory(tmp_path))
    assert disk.steps == [
        "unlink checkpoint.previous.arrow",
        "unlink checkpoint.arrow",
        "fsync out.run",
    ]


def test_a_checkpoint_with_a_line_of_no_known_kind_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A later version may say by it that rows are not done after all."""
    assert around(encode(made())) is not None
    monkeypatch.setattr(
        "penstock.ledger.checkpoint.lines_of",
        lambda checkpoint: [("withdrawn", "", 0, 9, 0, None)],
    )
    assert around(encode(made())) is None
