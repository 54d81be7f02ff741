"""The run's account while it is under way, and what its checkpoints let the next epoch know."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ledger.ledger_disk import RecordingDisk, failing
from ledger.ledger_rows import RUN, answer, dead, put, run_directory
from penstock.disk import Disk
from penstock.engine.books import Books, common
from penstock.errors import LedgerError
from penstock.ledger.account import Account
from penstock.ledger.checkpoint import read_checkpoint
from penstock.ledger.mark import ShardMark
from penstock.ledger.recovery import recover
from penstock.ledger.rows import RowSet
from penstock.ledger.run_directory import RunDirectory
from penstock.sources.shard import Cursor


def books(
    run_dir: RunDirectory,
    *,
    disk: Disk | None = None,
    account: Account | None = None,
    cursor: Cursor | None = None,
    target: RowSet | None = None,
) -> Books:
    return Books(
        disk or Disk(),
        run_dir,
        RUN,
        1,
        account or Account(target),
        cursor,
        1 if target is not None else 0,
        target,
    )


def cursor(row: int) -> Cursor:
    return Cursor(row=row, offset=100 * row, line=row + 1)


def checkpointed(run_dir: RunDirectory, kept: Books) -> Cursor | None:
    asyncio.run(kept.checkpoint())
    found = read_checkpoint(run_dir, RUN)
    assert found is not None
    return found.cursor


def test_what_workers_commit_is_counted_by_outcome_and_class(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path)
    kept = books(run_dir)
    kept.absorb(put(run_dir, [answer(0), dead(1), answer(2)], [dead(5, "timeout"), dead(6)]))
    assert (kept.succeeded, kept.failures) == (2, {"invalid_request": 2, "timeout": 1})
    assert kept.missing([(0, 4), (5, 8)]) == [(3, 4), (7, 8)]


def test_one_example_of_each_class_is_kept(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path)
    kept = books(run_dir)
    kept.absorb(put(run_dir, [answer(0), dead(1), dead(2)], [dead(5, "timeout")]))
    assert {name: one.row for name, one in kept.examples.items()} == {
        "invalid_request": 1,
        "timeout": 5,
    }


def test_what_a_dead_worker_did_not_tell_is_found_once(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path)
    kept = books(run_dir)
    told = put(run_dir, [answer(0)], [answer(1)], [dead(2)], worker=3, close=False)
    put(run_dir, [answer(9)], worker=4)
    kept.absorb(told[:1])
    kept.absorb(kept.untold(3))
    kept.absorb(told)
    assert kept.missing([(0, 10)]) == [(3, 10)]
    assert kept.succeeded == 2
    assert kept.untold(3) == []
    assert kept.untold(5) == []


def test_a_disk_that_fails_while_a_dead_workers_segments_are_made_durable_is_said(
    tmp_path: Path,
) -> None:
    run_dir = run_directory(tmp_path)
    put(run_dir, [answer(0)], worker=3)
    disk = RecordingDisk(failing("fsync", "0001-0003-0000.arrow"))
    with pytest.raises(LedgerError):
        books(run_dir, disk=disk).untold(3)


def test_a_checkpoint_says_where_to_read_on_so_as_to_meet_the_first_row_not_done(
    tmp_path: Path,
) -> None:
    run_dir = run_directory(tmp_path)
    kept = books(run_dir)
    assert checkpointed(run_dir, kept) is None
    kept.has_read([cursor(4), cursor(8), cursor(12)])
    assert checkpointed(run_dir, kept) is None
    kept.absorb(put(run_dir, [answer(row) for row in range(4)], worker=1))
    assert checkpointed(run_dir, kept) == cursor(4)
    kept.absorb(put(run_dir, [answer(row) for row in (4, 5, 7, 8, 9, 10, 11)], worker=2))
    assert checkpointed(run_dir, kept) == cursor(4)
    kept.absorb(put(run_dir, [answer(6)], worker=3))
    assert checkpointed(run_dir, kept) == cursor(12)


def test_a_shard_without_rows_does_not_confuse_where_to_read_on(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path)
    kept = books(run_dir)
    after_blank = Cursor(row=4, offset=999, line=50)
    kept.has_read([cursor(4), after_blank, cursor(8)])
    kept.absorb(put(run_dir, [answer(row) for row in range(4)]))
    assert checkpointed(run_dir, kept) == after_blank


def test_a_resumed_epoch_goes_on_from_its_cursor(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path)
    first = books(run_dir)
    first.has_read([cursor(4), cursor(8)])
    first.absorb(put(run_dir, [answer(row) for row in range(5)]))
    assert checkpointed(run_dir, first) == cursor(4)
    recovered = recover(Disk(), run_dir, RUN)
    second = books(run_dir, account=recovered.account, cursor=recovered.cursor)
    assert second.succeeded == 5
    assert checkpointed(run_dir, second) == cursor(4)
    second.has_read([cursor(8)])
    second.absorb(put(run_dir, [answer(row) for row in range(5, 8)], epoch=2))
    assert checkpointed(run_dir, second) == cursor(8)


def test_shards_are_remembered_until_all_their_rows_are_done(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path)
    kept = books(run_dir)
    kept.has_read([cursor(4), cursor(8)])
    marks = [ShardMark(0, 4, 11), ShardMark(4, 4, 22)]
    kept.absorb(put(run_dir, [answer(row) for row in (0, 1, 2, 4)], shards=marks))
    asyncio.run(kept.checkpoint())
    found = read_checkpoint(run_dir, RUN)
    assert found is not None and found.shards == marks
    kept.absorb(put(run_dir, [answer(3)], worker=2, shards=marks[:1]))
    asyncio.run(kept.checkpoint())
    found = read_checkpoint(run_dir, RUN)
    assert found is not None and found.shards == marks[1:]


def test_a_redo_counts_its_own_rows_and_reads_from_the_start(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path)
    target = RowSet([(1, 3), (5, 6)])
    account = Account(target)
    kept = books(run_dir, account=account, target=target)
    kept.absorb(put(run_dir, [answer(0), dead(1), dead(2), dead(5, "timeout"), dead(7)]))
    assert (kept.succeeded, kept.failures) == (0, {})
    again = [answer(1, generation=1), dead(2, "timeout", generation=1)]
    kept.absorb(put(run_dir, again, worker=2))
    assert (kept.succeeded, kept.failures) == (1, {"timeout": 1})
    assert kept.missing([(1, 3), (5, 6)]) == [(5, 6)]
    kept.has_read([cursor(4), cursor(8)])
    assert checkpointed(run_dir, kept) is None


def test_the_rows_that_two_sets_share_are_counted() -> None:
    assert common(RowSet([(0, 10), (100, 110)]), RowSet([(5, 105)])) == 10
    assert common(RowSet(), RowSet([(0, 10)])) == 0
