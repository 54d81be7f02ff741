"""The merge: one result a row, in order, whatever lies in which segment."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.ledger_disk import QuickDisk
from ledger.ledger_rows import RUN, answer, dead, put, run_directory
from penstock.errors import LedgerError
from penstock.ledger import merge as merging
from penstock.ledger.choice import Copy, choose
from penstock.ledger.copies import Batch, Copies, Sweep, fitting_end
from penstock.ledger.mark import SegmentName
from penstock.ledger.merge import Merge
from penstock.ledger.run_directory import RunDirectory
from penstock.record import SUCCEEDED, Result


def outputs(run_dir: RunDirectory) -> list[tuple[int, str | None]]:
    copies = Copies(run_dir, RUN)
    return [
        (row["row"], row["output"])
        for merged in Merge(copies).ranges(copies.end)
        for row in merged.results.to_pylist()
    ]


def test_rows_of_all_segments_come_in_order(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path)
    put(run_dir, [answer(5), answer(0)], [answer(3)], worker=1)
    put(run_dir, [answer(4), answer(1), answer(2)], worker=2)
    assert outputs(run_dir) == [(row, f"answer {row}") for row in range(6)]


def test_a_torn_segment_gives_what_verifies(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path)
    told = put(run_dir, [answer(0)], [answer(1)], close=False)
    path = run_dir.segments / told[0].segment
    path.write_bytes(path.read_bytes()[:-9])
    assert [row for row, _ in outputs(run_dir)] == [0]


def test_no_segments_are_no_rows(tmp_path: Path) -> None:
    assert outputs(run_directory(tmp_path)) == []


def test_the_first_missing_row_is_named(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path)
    put(run_dir, [answer(0), answer(1), answer(3)])

    def first_missing(start: int, end: int) -> int | None:
        return Merge(Copies(run_dir, RUN)).merge(start, end).missing

    assert [first_missing(0, 4), first_missing(0, 2), first_missing(3, 6)] == [2, None, 4]
    assert first_missing(7, 9) == 7


def test_a_batch_that_changed_after_the_first_look_is_an_error(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path)
    (told,) = put(run_dir, [answer(0, output="x" * 100)])
    copies = Copies(run_dir, RUN)
    path = run_dir.segments / told.segment
    path.write_bytes(path.read_bytes().replace(b"x" * 100, b"x" * 99 + b"y"))
    with pytest.raises(LedgerError, match="does not verify"):
        Merge(copies).merge(0, 1)


# A copy: (row, generation, whether it succeeded).
COPIES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2), st.booleans()), max_size=12)


@settings(max_examples=40, deadline=None)
@given(st.lists(COPIES, max_size=4))
def test_the_copy_that_counts_is_the_one_that_choose_takes(
    workers: list[list[tuple[int, int, bool]]],
) -> None:
    with tempfile.TemporaryDirectory() as path:
        run_dir = run_directory(Path(path))
        known: dict[int, dict[Copy, str]] = {}
        for worker, copies in enumerate(workers):
            batches: list[list[Result]] = []
            for number, (row, generation, succeeded) in enumerate(copies):
                text = f"{worker}.{number}"
                make = answer if succeeded else dead
                batches.append([make(row, generation=generation, request_id=text)])
                copy = Copy(generation, succeeded, 1, worker, 0, number)
                known.setdefault(row, {})[copy] = text
            if batches:
                put(run_dir, *batches, worker=worker, disk=QuickDisk())
        found = Copies(run_dir, RUN)
        merged = list(Merge(found).ranges(found.end))
        rows = [row for one in merged for row in one.results.to_pylist()]
        assert [row["row"] for row in rows] == sorted(known)
        for row in rows:
            copies_of_row = known[row["row"]]
            winner = choose(copies_of_row)
            assert row["request_id"] == copies_of_row[winner]
            assert (row["outcome"] == SUCCEEDED) == winner.succeeded
        bought_twice = sum(
            len(copies) - len({copy.generation for copy in copies}) for copies in known.values()
        )
        assert sum(one.duplicates for one in merged) == bought_twice


def test_within_one_batch_the_first_copy_counts(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path)
    put(run_dir, [answer(1), answer(0), answer(1, output="again")])
    assert outputs(run_dir) == [(0, "answer 0"), (1, "answer 1")]


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(20)), st.integers(1, 9), st.integers(1, 3000))
def test_ranges_of_any_size_give_the_same_rows(
    order: Iterable[int], range_rows: int, range_bytes: int
) -> None:
    rows = list(order)
    with tempfile.TemporaryDirectory() as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "RANGE_ROWS", range_rows)
        patch.setattr(merging, "RANGE_BYTES", range_bytes)
        run_dir = run_directory(Path(path))
        batches = ([answer(row) for row in rows[at : at + 5]] for at in range(0, 20, 5))
        put(run_dir, *batches, disk=QuickDisk())
        assert [row for row, _ in outputs(run_dir)] == list(range(20))


def batch(first: int, last: int, size_bytes: int, rows: int | None = None) -> Batch:
    count = last - first + 1 if rows is None else rows
    return Batch(first, last, SegmentName(1, 1, 0), 0, 0, count, 8, size_bytes)


def test_a_range_ends_early_where_its_results_are_large() -> None:
    assert fitting_end([batch(0, 99, 1000)], 0, 100, 1000) == 100
    assert fitting_end([batch(0, 99, 1000)], 0, 100, 500) == 50
    assert fitting_end([batch(0, 99, 1000)], 0, 100, 1) == 1


def test_large_results_further_on_do_not_shorten_a_range_to_nothing() -> None:
    batches = [batch(0, 49, 50), batch(50, 99, 1_000_000)]
    assert fitting_end(batches, 0, 100, 100) == 50


def test_a_sweep_finds_every_batch_that_reaches_into_a_range() -> None:
    batches = sorted([batch(0, 50, 1), batch(10, 12, 1), batch(13, 20, 1), batch(60, 61, 1)])
    sweep = Sweep(batches)
    found = [
        [(one.first_row, one.last_row) for one in sweep.overlapping(*span)]
        for span in ((0, 11), (11, 14), (14, 51), (51, 60), (60, 99))
    ]
    assert found == [
        [(0, 50), (10, 12)],
        [(0, 50), (10, 12), (13, 20)],
        [(0, 50), (13, 20)],
        [],
        [(60, 61)],
    ]


def test_a_batch_that_ends_just_beyond_a_range_gives_it_no_row_more(tmp_path: Path) -> None:
    run_dir = run_directory(tmp_path)
    put(run_dir, [answer(row) for row in range(5)])
    merge = Merge(Copies(run_dir, RUN))
    assert merge.merge(0, 4).results["row"].to_pylist() == [0, 1, 2, 3]
    assert merge.merge(4, 5).results["row"].to_pylist() == [4]
