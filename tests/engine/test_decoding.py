"""Every row of a lease comes out as one record, whatever its payload holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from engine.shards import lease_of, rows_of, shard
from penstock.engine import decoding
from penstock.engine.decoding import records_of_lease
from penstock.engine.leases import Grant
from penstock.record import Record
from penstock.sources.shard import Shard


def records(one: Shard, wanted: list[tuple[int, int]]) -> list[Record]:
    return records_of_lease(lease_of(Grant(1, 1, one, wanted)), one.payload, None)


def test_the_records_are_those_of_the_wanted_rows_in_order() -> None:
    found = records(shard(10, 6), [(11, 13), (15, 16)])
    assert [(one.row, one.id) for one in found] == [(11, "r11"), (12, "r12"), (15, "r15")]
    assert len(records(shard(10, 6), [(10, 16)])) == 6


@pytest.mark.parametrize("kind", ["lines", "columns", "csv"])
def test_a_payload_that_is_not_of_its_kind_still_gives_a_record_for_each_row(kind: str) -> None:
    one = msgspec.structs.replace(shard(10, 4), kind=kind, payload=b"\x00\xffnonsense")
    found = records(one, [(10, 12), (13, 14)])
    assert sorted(record.row for record in found) == [10, 11, 13]
    assert all(record.problem for record in found)


def test_one_row_that_breaks_the_decoder_costs_no_other_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(kind: str, payload: bytes, first_row: int, *more: Any) -> Iterator[Record]:
        wanted = more[-1] or range(first_row, first_row + 4)
        for row in range(first_row, first_row + 4):
            if row in wanted:
                if row == 12:
                    raise RuntimeError("a bug")
                yield Record(row, "in.jsonl", fields={})

    monkeypatch.setattr(decoding, "records", broken)
    found = records(shard(10, 4), [(10, 14)])
    assert [record.row for record in found] == [10, 11, 12, 13]
    assert [record.row for record in found if record.problem] == [12]
    assert found[2].where == "in.jsonl row 12"
    assert found[2].problem == "can't be decoded: RuntimeError: a bug"


def test_rows_that_the_payload_does_not_have_are_records_with_a_problem() -> None:
    one = msgspec.structs.replace(shard(0, 3), rows=5)
    found = records(one, [(0, 5)])
    assert [record.row for record in found] == rows_of([(0, 5)])
    assert [record.row for record in found if record.problem] == [3, 4]
