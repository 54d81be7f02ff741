"""The figures of a run: the same whether they were told live or read after a crash."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from ledger.ledger_rows import RUN, answer, dead, put, run_directory
from penstock.ledger.account import Account
from penstock.ledger.checkpoint import VerifiedLength
from penstock.ledger.mark import SegmentName, ShardMark
from penstock.ledger.recovery import reread
from penstock.ledger.rows import RowSet
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.written import Spent, Written, int64s
from penstock.record import Result


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDirectory:
    return run_directory(tmp_path)


def add(account: Account, run_dir: RunDirectory, told: list[Written]) -> None:
    for one in told:
        account.add(one, lambda written: reread(run_dir, RUN, written))


def never(written: Written) -> object:
    raise AssertionError("a batch was read again")


def account_of(
    run_dir: RunDirectory, *epochs: list[Result], again: RowSet | None = None
) -> Account:
    account = Account(again)
    for epoch, results in enumerate(epochs, 1):
        add(account, run_dir, put(run_dir, results, epoch=epoch))
    return account


def test_rows_that_nobody_counted_are_added_without_reading_them(run_dir: RunDirectory) -> None:
    account = Account()
    shard = ShardMark(0, 9, 5)
    told = put(run_dir, [answer(0), dead(3), dead(1, "timeout")], [answer(2)], shards=[shard])
    for one in told:
        account.add(one, never)
    assert list(account.done_in(0).ranges()) == [(0, 4)]
    assert (account.ended, account.succeeded) == (4, 2)
    assert account.failures == {"invalid_request": 1, "timeout": 1}
    assert account.spent == Spent(40, 0, 2, 0, 0.5, 4)
    assert account.shards == {0: shard}
    assert account.segments == {
        SegmentName(1, 1, 0): VerifiedLength(told[-1].end_bytes, 2),
    }


def test_a_failure_without_a_class_is_one_all_the_same(run_dir: RunDirectory) -> None:
    results = [answer(0), dead(1, error_class=None), dead(2)]  # type: ignore[arg-type]
    told = put(run_dir, results)
    for again in (None, RowSet([(0, 3)])):  # by the batch, or row by row
        account = Account(again)
        add(account, run_dir, told)
        assert (account.succeeded, account.failures) == (1, {"invalid_request": 1, "unknown": 1})


def test_the_rows_of_a_part_of_a_batch_are_its_own() -> None:
    assert int64s(pa.array([7, 8, 9], pa.int64()).slice(1)) == int64s(pa.array([8, 9], pa.int64()))


def test_a_batch_that_is_told_twice_counts_once(run_dir: RunDirectory) -> None:
    told = put(run_dir, [answer(0)], [answer(1)])
    account = Account()
    for one in (*told, *told, told[0]):
        account.add(one, never)
    assert (account.ended, account.spent.attempts, account.duplicates) == (2, 2, 0)


def test_a_second_copy_in_a_generation_adds_nothing_but_itself_to_the_duplicates(
    run_dir: RunDirectory,
) -> None:
    account = account_of(
        run_dir, [answer(0), dead(1)], [dead(0, "timeout"), answer(1), answer(2), answer(2)]
    )
    assert (account.ended, account.succeeded, account.failures) == (3, 2, {"invalid_request": 1})
    assert account.duplicates == 3
    assert account.spent == Spent(30, 0, 2, 0, 0.5, 3)
    assert account.paid_usd == 4 * answer(0).cost_usd  # of all copies


def test_of_a_row_that_stands_twice_in_one_batch_the_first_counts(run_dir: RunDirectory) -> None:
    account = account_of(run_dir, [dead(0), answer(0, input_tokens=70)])
    assert (account.succeeded, account.failures) == (0, {"invalid_request": 1})
    assert account.spent.input_tokens == 10


def test_a_redo_takes_the_place_of_the_failure_before_it(run_dir: RunDirectory) -> None:
    again = RowSet([(1, 4)])
    account = account_of(
        run_dir,
        [answer(0), dead(1, attempts=5), dead(2), dead(3)],
        [answer(1, generation=1), dead(2, "timeout", generation=1)],
        again=again,
    )
    assert (account.ended, account.succeeded) == (4, 2)
    assert account.failures == {"invalid_request": 1, "timeout": 1}
    assert account.spent == Spent(40, 0, 1, 0, 0.5, 4)
    assert list(account.done_in(1)) == [1, 2]
    assert account.duplicates == 0


def test_a_redo_that_fails_leaves_the_success_before_it(run_dir: RunDirectory) -> None:
    account = account_of(
        run_dir, [answer(0)], [dead(0, generation=1, attempts=9)], again=RowSet([(0, 1)])
    )
    assert (account.succeeded, account.failures) == (1, {})
    assert account.spent.attempts == 1


def test_generations_count_alike_in_whatever_order_they_are_read(run_dir: RunDirectory) -> None:
    told = [
        *put(run_dir, [answer(0), dead(1)], epoch=1),
        *put(run_dir, [answer(0, generation=2), answer(1, generation=2)], epoch=3),
        *put(run_dir, [dead(0, generation=1), dead(1, "x", generation=1)], epoch=2),
    ]
    accounts = [Account(RowSet([(0, 2)])) for _ in range(2)]
    add(accounts[0], run_dir, told)
    add(accounts[1], run_dir, told[::-1])
    for account in accounts:
        assert (account.succeeded, account.failures) == (2, {})
        assert account.spent == Spent(20, 0, 1, 0, 0.5, 2)


def test_a_checkpoint_gives_the_account_back(run_dir: RunDirectory) -> None:
    account = account_of(run_dir, [answer(0), dead(4)])
    checkpoint = account.checkpoint(run_id=RUN, epoch=1, generation=0, written_at=0.0, cursor=None)
    twin = Account.of(checkpoint)
    assert twin.paid_usd == account.paid_usd == answer(0).cost_usd
    add(account, run_dir, put(run_dir, [answer(1)], epoch=2))
    assert (twin.ended, twin.failures, twin.spent.attempts) == (2, {"invalid_request": 1}, 2)
    assert checkpoint.spent.attempts == 2
    assert list(twin.segments) == [SegmentName(1, 1, 0)]


def test_a_checkpoint_gives_the_shards_back_by_which_a_changed_input_is_known(
    run_dir: RunDirectory,
) -> None:
    account, shard = Account(), ShardMark(0, 10, -3)
    add(account, run_dir, put(run_dir, [answer(0)], shards=[shard]))
    checkpoint = account.checkpoint(run_id=RUN, epoch=1, generation=0, written_at=0.0, cursor=None)
    assert Account.of(checkpoint).shards == {0: shard}


def test_shards_below_the_mark_are_forgotten(run_dir: RunDirectory) -> None:
    account = Account()
    shards = [ShardMark(0, 10, 1), ShardMark(10, 10, 2)]
    add(account, run_dir, put(run_dir, [answer(0)], shards=shards))
    account.forget_shards(11)
    assert list(account.shards) == [10]


def test_a_checkpoint_is_of_its_moment_whatever_is_counted_afterwards(
    run_dir: RunDirectory,
) -> None:
    """It is written on a thread of its own while workers go on telling."""
    account = account_of(run_dir, [answer(0), dead(1)])
    checkpoint = account.checkpoint(run_id=RUN, epoch=1, generation=0, written_at=0.0, cursor=None)
    segments, spent = dict(checkpoint.segments), Spent(**msgspec.structs.asdict(checkpoint.spent))
    resumed = Account.of(checkpoint)
    for one in (account, resumed):
        add(one, run_dir, put(run_dir, [answer(2), dead(3)], epoch=2 + (one is resumed)))
        assert one.ended == 4
    assert list(checkpoint.done[0]) == [0, 1]
    assert list(checkpoint.failed["invalid_request"]) == [1]
    assert (checkpoint.segments, checkpoint.spent) == (segments, spent)


def test_a_row_of_a_redo_alone_has_ended_too(run_dir: RunDirectory) -> None:
    account = account_of(run_dir, [answer(0)], [answer(7, generation=1)], again=RowSet([(7, 8)]))
    assert (account.ended, account.succeeded) == (2, 2)


def test_a_shard_is_forgotten_once_all_its_rows_are_behind(run_dir: RunDirectory) -> None:
    account = Account()
    shards = [ShardMark(0, 5, 1), ShardMark(5, 5, 2)]
    add(account, run_dir, put(run_dir, [answer(0), answer(5)], shards=shards))
    account.forget_shards(4)
    assert sorted(account.shards) == [0, 5]
    account.forget_shards(5)
    assert sorted(account.shards) == [5]
