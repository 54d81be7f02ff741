"""A batch's mark, and what it takes to be trusted."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ledger_rows import RUN, answer
from penstock.ledger.digest import digest
from penstock.ledger.mark import DIGEST_KEY, MARK_KEY, Mark, SegmentName, ShardMark, stamp, verified
from penstock.ledger.schema import batch_of

NAME = SegmentName(3, 2, 1)
BATCH = batch_of([answer(0), answer(1)])
MARK = Mark(RUN, *NAME, batch=4, generation=0, rows=2, shards=[ShardMark(0, 2, -7)])
NUMBERS = st.integers(0, 10**7)


@given(st.builds(SegmentName, NUMBERS, NUMBERS, NUMBERS))
def test_a_segments_name_says_where_it_stands(name: SegmentName) -> None:
    assert SegmentName.parse(str(name)) == name


@pytest.mark.parametrize(
    "name", ["0001-0001-0001.torn", "1-1.arrow", "1-1-x.arrow", "-1-1-1.arrow", "1-1-1.arrow.new"]
)
def test_other_files_are_no_segments(name: str) -> None:
    assert SegmentName.parse(name) is None


def test_segments_sort_by_name_as_they_do_by_number() -> None:
    names = [SegmentName(1, 2, 9), SegmentName(1, 10, 0), SegmentName(2, 1, 10)]
    assert sorted(map(str, names)) == [str(name) for name in sorted(names)]


def test_a_batch_that_says_where_it_was_found_is_trusted() -> None:
    assert verified(BATCH, stamp(BATCH, MARK), RUN, NAME, 4) == MARK


@pytest.mark.parametrize(
    ("run_id", "name", "number"),
    [
        ("other", NAME, 4),
        (RUN, NAME._replace(epoch=4), 4),
        (RUN, NAME._replace(worker=3), 4),
        (RUN, NAME._replace(segment=0), 4),
        (RUN, NAME, 5),
    ],
)
def test_a_batch_from_another_place_is_not_trusted(
    run_id: str, name: SegmentName, number: int
) -> None:
    assert verified(BATCH, stamp(BATCH, MARK), run_id, name, number) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda mark: msgspec.structs.replace(mark, generation=1),
        lambda mark: msgspec.structs.replace(mark, shards=[ShardMark(0, 2, 7)]),
        lambda mark: msgspec.structs.replace(mark, schema="another"),
        lambda mark: msgspec.structs.replace(mark, rows=1),
    ],
)
def test_a_mark_that_was_changed_is_not_trusted(change: Callable[[Mark], Mark]) -> None:
    metadata = stamp(BATCH, MARK) | {MARK_KEY: msgspec.json.encode(change(MARK))}
    assert verified(BATCH, metadata, RUN, NAME, 4) is None


def test_rows_and_schema_are_compared_even_where_the_digest_fits() -> None:
    for change in ({"rows": 1}, {"schema": "another"}):
        mark = msgspec.structs.replace(MARK, **change)
        assert verified(BATCH, stamp(BATCH, mark), RUN, NAME, 4) is None


@pytest.mark.parametrize("encoded", [b"", b"{}", b"\xff", b"[1]", b'{"run_id":3}'])
def test_garbage_for_a_mark_is_not_trusted(encoded: bytes) -> None:
    metadata = {MARK_KEY: encoded, DIGEST_KEY: b"%016x" % digest(BATCH, encoded)}
    assert verified(BATCH, metadata, RUN, NAME, 4) is None
    assert verified(BATCH, {}, RUN, NAME, 4) is None
