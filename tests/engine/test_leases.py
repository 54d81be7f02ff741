"""Who holds which rows: nothing is leased twice, nothing is lost, and all of it ends."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.shards import rows_of, shard, shards
from penstock.engine import leases
from penstock.engine.leases import Grant, LeaseTable, count, split
from penstock.ledger.rows import RowSet

ranges = st.sets(st.integers(0, 60)).map(
    lambda rows: list(RowSet((r, r + 1) for r in rows).ranges())
)


@given(ranges)
def test_a_split_halves_the_rows_in_order_with_the_odd_one_in_the_first(
    wanted: list[tuple[int, int]],
) -> None:
    first, second = split(wanted)
    assert rows_of(first) + rows_of(second) == rows_of(wanted)
    assert count(first) - count(second) in (0, 1)


def test_nothing_is_leased_without_credit() -> None:
    table = LeaseTable(RowSet())
    table.add_worker(1)
    table.add_shard(shard(0, 4), [(0, 4)])
    assert table.grants() == []
    table.give_credit(1, 1)
    (grant,) = table.grants()
    assert (grant.worker, grant.wanted) == (1, [(0, 4)])


def test_credit_for_an_unknown_worker_is_ignored() -> None:
    table = LeaseTable(RowSet())
    table.give_credit(7, 100)
    table.add_shard(shard(0, 4), [(0, 4)])
    assert table.grants() == []
    assert not table.hungry


def test_the_worker_with_most_credit_is_served_first_and_a_large_shard_uses_up_its_credit() -> None:
    table = LeaseTable(RowSet())
    for worker, credit in ((1, 3), (2, 9)):
        table.add_worker(worker)
        table.give_credit(worker, credit)
    for one in shards(40, 8):
        table.add_shard(one, [(one.first_row, one.first_row + one.rows)])
    assert [(grant.worker, grant.rows) for grant in table.grants()] == [(2, 8), (1, 8), (2, 8)]
    table.give_credit(1, 5)
    assert table.grants() == []
    table.give_credit(1, 1)
    assert [grant.worker for grant in table.grants()] == [1]


def test_rows_of_one_request_are_not_shared_out() -> None:
    table = LeaseTable(RowSet(), at_once=30)
    for worker in range(4):
        table.add_worker(worker)
        table.give_credit(worker, 300)
    for one in shards(60, 30):
        table.add_shard(one, [(one.first_row, one.first_row + one.rows)])
    assert [grant.rows for grant in table.grants()] == [30, 30]


def test_too_few_rows_for_all_credit_are_shared_out_among_the_workers() -> None:
    """A worker that was given the 60 rows of a small job left the others' slots free."""
    table = LeaseTable(RowSet())
    for worker in range(4):
        table.add_worker(worker)
        table.give_credit(worker, 30)
    for one in shards(60, 30):
        table.add_shard(one, [(one.first_row, one.first_row + one.rows)])
    granted = table.grants()
    assert sorted((grant.worker, grant.rows) for grant in granted) == [(w, 15) for w in range(4)]
    assert sorted(row for grant in granted for row in rows_of(grant.wanted)) == list(range(60))


def test_rows_that_are_done_are_not_leased() -> None:
    table = LeaseTable(RowSet([(2, 4)]))
    table.add_worker(1)
    table.give_credit(1, 10)
    table.add_shard(shard(0, 6), [(0, 6)])
    table.add_shard(shard(2, 2), [(2, 4)])
    assert [grant.wanted for grant in table.grants()] == [[(0, 2), (4, 6)]]


def test_a_shard_without_rows_to_ask_for_leaves_the_table_idle() -> None:
    table = LeaseTable(RowSet())
    table.add_shard(shard(0, 0), [])
    assert table.idle


def test_what_a_dead_worker_leaves_goes_before_anything_fresh() -> None:
    done = RowSet()
    table = LeaseTable(done)
    table.add_worker(1)
    table.give_credit(1, 8)
    first, second = shards(8, 4)
    for one in (first, second, shard(8, 4)):
        table.add_shard(one, [(one.first_row, one.first_row + one.rows)])
    table.grants()
    done.add_range(0, 2)
    table.settle()
    left = table.remove_worker(1)
    assert [grant.wanted for grant in left] == [[(2, 4)], [(4, 8)]]
    assert table.held_rows == 0
    table.give_back(left)
    assert table.waiting_rows == 10
    table.add_worker(2)
    table.give_credit(2, 100)
    assert [grant.wanted for grant in table.grants()] == [[(2, 4)], [(4, 8)], [(8, 12)]]


def test_a_condemned_row_goes_before_all_and_keeps_its_reason_over_a_workers_death() -> None:
    table = LeaseTable(RowSet())
    table.add_shard(shard(4, 4), [(4, 8)])
    table.condemn(shard(0, 4), 2, "it crashed a worker twice")
    table.add_worker(1)
    table.give_credit(1, 1)
    (grant,) = table.grants()
    assert (grant.wanted, grant.condemned) == ([(2, 3)], "it crashed a worker twice")
    table.give_back(table.remove_worker(1))
    table.add_worker(2)
    table.give_credit(2, 1)
    assert table.grants()[0].condemned == "it crashed a worker twice"


def test_a_grant_to_a_worker_of_the_quarantine_needs_no_credit_and_gives_it_none() -> None:
    table = LeaseTable(RowSet())
    grant = table.grant_to(9, shard(0, 4), [(1, 2)])
    assert grant.worker == 9
    assert not table.idle
    table.add_shard(shard(4, 4), [(4, 8)])
    assert table.grants() == []
    assert [one.wanted for one in table.remove_worker(9)] == [[(1, 2)]]


def test_the_table_is_hungry_while_credit_exceeds_the_rows_that_wait() -> None:
    table = LeaseTable(RowSet())
    table.add_worker(1)
    assert not table.hungry
    table.give_credit(1, 5)
    assert table.hungry
    table.add_shard(shard(0, 8), [(0, 8)])
    assert not table.hungry
    table.grants()
    assert not table.hungry
    table.give_credit(1, 4)
    assert table.hungry


class Leasing:
    """A table under random use, and what must be true of it."""

    def __init__(self, seed: int, total: int, each: int) -> None:
        self.dice = Random(seed)
        self.done = RowSet()
        self.table = LeaseTable(self.done)
        self.unread = shards(total, each)
        self.total = total
        self.holder: dict[int, int] = {}  # row -> worker
        self.workers: list[int] = []
        self.apart: list[Grant] = []  # in quarantine
        self.numbers = 0

    def step(self) -> None:
        self.dice.choice(
            [self.read, self.hire, self.credit, self.commit, self.commit, self.die, self.suspect]
        )()
        self.take(self.table.grants())
        self.check()

    def read(self) -> None:
        if self.unread:
            one = self.unread.pop(0)
            self.table.add_shard(one, [(one.first_row, one.first_row + one.rows)])

    def hire(self) -> None:
        if len(self.workers) < 4:
            self.numbers += 1
            self.workers.append(self.numbers)
            self.table.add_worker(self.numbers)

    def credit(self) -> None:
        if self.workers:
            self.table.give_credit(self.dice.choice(self.workers), self.dice.randrange(1, 20))

    def commit(self) -> None:
        for row in [row for row in self.holder if self.dice.random() < 0.5]:
            self.done.add(row)
            del self.holder[row]
        self.table.settle()

    def die(self) -> None:
        if not self.workers:
            return
        worker = self.workers.pop(self.dice.randrange(len(self.workers)))
        left = self.table.remove_worker(worker)
        assert sorted(row for one in left for row in rows_of(one.wanted)) == sorted(
            row for row, holder in self.holder.items() if holder == worker
        )
        self.holder = {row: other for row, other in self.holder.items() if other != worker}
        kept = [one for one in left if self.dice.random() < 0.7]
        self.apart += [one for one in left if one not in kept]
        self.table.give_back(kept)

    def suspect(self) -> None:
        """Rows come back out of quarantine: to a worker of their own, or condemned."""
        if not self.apart:
            return
        grant = self.apart.pop()
        if self.dice.random() < 0.5:
            self.numbers += 1
            self.workers.append(self.numbers)
            self.take([self.table.grant_to(self.numbers, grant.shard, grant.wanted)])
        else:
            for row in rows_of(grant.wanted):
                self.table.condemn(grant.shard, row, "guilty")

    def take(self, grants: list[Grant]) -> None:
        for grant in grants:
            for row in rows_of(grant.wanted):
                assert row not in self.holder, f"row {row} is leased twice"
                assert row not in self.done, f"row {row} is done and leased again"
                self.holder[row] = grant.worker

    def check(self) -> None:
        unread = sum(one.rows for one in self.unread)
        apart = sum(one.rows for one in self.apart)
        known = len(self.done) + len(self.holder) + self.table.waiting_rows + apart + unread
        assert known == self.total, "a row is lost, or in two places"

    def finish(self) -> None:
        while self.unread or self.apart:
            self.read()
            self.suspect()
        self.hire()
        while self.table.waiting_rows:
            self.table.give_credit(self.workers[-1], 50)
            self.take(self.table.grants())
        self.done.add_range(0, self.total)
        self.table.settle()
        assert self.table.idle
        assert self.table.held_rows == 0


@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(1, 9), st.integers(0, 60))
def test_in_any_interleaving_no_row_is_leased_twice_or_lost_and_all_end(
    seed: int, total: int, each: int, steps: int
) -> None:
    leasing = Leasing(seed, total, each)
    for _ in range(steps):
        leasing.step()
    leasing.finish()


def test_nothing_is_read_on_while_many_bytes_are_leased_and_not_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Large records at a high rate took as much memory as came between two syncs."""
    done = RowSet()
    table = LeaseTable(done)
    table.add_worker(1)
    table.give_credit(1, 100)
    one = shard(0, 4)
    monkeypatch.setattr(leases, "HELD_BYTES_PER_WORKER", len(one.payload) // 2)
    table.add_shard(one, [(0, 4)])
    assert table.hungry
    table.grants()
    assert not table.hungry
    table.settle()
    assert not table.hungry, "nothing was committed"
    done.add_range(0, 2)
    table.settle()
    assert table.hungry


def test_records_that_fill_the_slots_are_read_however_large_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With 64 KiB each, a bound in bytes alone let no more than a thousand be in flight."""
    monkeypatch.setattr(leases, "HELD_BYTES_PER_WORKER", 1)
    table = LeaseTable(RowSet(), slots=6)
    table.add_worker(1)
    table.give_credit(1, 100)
    for one, hungry in zip(shards(8, 4), (True, False), strict=True):
        table.add_shard(one, [(one.first_row, one.first_row + one.rows)])
        table.grants()
        assert table.hungry is hungry


def test_what_a_dead_worker_held_keeps_nobody_from_reading_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is held no more: counted on, a few deaths would stop the reading for good."""
    table = LeaseTable(RowSet())
    table.add_worker(1)
    table.add_worker(2)
    table.give_credit(1, 4)
    one = shard(0, 4)
    monkeypatch.setattr(leases, "HELD_BYTES_PER_WORKER", 1)
    table.add_shard(one, [(0, 4)])
    table.grants()
    table.give_credit(2, 8)
    assert not table.hungry
    table.remove_worker(1)
    assert table.hungry


def test_nothing_is_leased_to_the_dead_however_much_credit_they_had() -> None:
    table = LeaseTable(RowSet())
    table.add_worker(1)
    table.give_credit(1, 100)
    table.remove_worker(1)
    table.add_shard(shard(0, 4), [(0, 4)])
    assert table.grants() == []
    assert table.waiting_rows == 4


def test_what_is_left_of_a_shard_goes_before_the_next_one() -> None:
    table = LeaseTable(RowSet())
    for worker in (1, 2, 3):
        table.add_worker(worker)
        table.give_credit(worker, 5)
    for one in shards(12, 6):
        table.add_shard(one, [(one.first_row, one.first_row + one.rows)])
    assert [grant.wanted for grant in table.grants()] == [[(0, 4)], [(4, 6)], [(6, 10)], [(10, 12)]]


def test_what_one_worker_committed_settles_its_own_leases_and_no_others() -> None:
    done = RowSet()
    table = LeaseTable(done)
    for worker in (1, 2):
        table.add_worker(worker)
        table.give_credit(worker, 4)
    for one in shards(8, 4):
        table.add_shard(one, [(one.first_row, one.first_row + one.rows)])
    first, second = table.grants()
    done.add_range(0, 8)
    table.settle(first.worker)
    assert table.held_rows == second.rows
    table.settle(99)
    assert table.held_rows == second.rows
    table.settle(second.worker)
    assert table.idle


def test_rows_that_were_deferred_are_nobodys_until_another_turn() -> None:
    table = LeaseTable(RowSet())
    for worker in (1, 2):
        table.add_worker(worker)
    table.add_shard(shard(0, 4), [(0, 4)])
    table.give_credit(1, 4)
    (grant,) = table.grants()
    table.defer(1, [1, 2])
    assert not table.idle
    assert [one.wanted for one in table.remove_worker(1)] == [[(0, 1), (3, 4)]]
    table.give_back([grant.of([(0, 1), (3, 4)])])
    table.give_credit(2, 4)
    (again,) = table.grants()
    assert again.wanted == [(0, 1), (3, 4)]
    table.defer(2, [0, 3])
    assert table.idle and len(table.deferred) == 4
    table.deferred = RowSet()
    table.add_shard(shard(0, 4), [(0, 4)])
    assert not table.idle
