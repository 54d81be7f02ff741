"""The input once more: at hand by ranges, and checked against what the workers saw."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.ledger_run import json_lines, read_lines
from penstock.errors import InputError
from penstock.ledger import input_rows
from penstock.ledger.input_rows import InputRows, as_frozen
from penstock.ledger.mark import ShardMark
from penstock.ledger.output_columns import output_columns
from penstock.sources.inputs import Inputs


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    path = json_lines(tmp_path / "a.jsonl", ({"n": row, "t": f"t{row}"} for row in range(10)))
    return Inputs.open([str(path)])


def rows_of(
    inputs: Inputs, marks: list[ShardMark] | None = None, limit: int | None = None
) -> InputRows:
    return InputRows(inputs.shards(rows=4), marks or [], limit)


def test_rows_are_at_hand_up_to_the_end(inputs: Inputs) -> None:
    rows = rows_of(inputs)
    assert rows.ahead() == 10
    assert rows.columns([0, 3, 4, 9], output_columns(inputs.schema()))["t"].to_pylist() == [
        "t0",
        "t3",
        "t4",
        "t9",
    ]


def test_no_more_is_read_ahead_than_fits(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_rows, "RANGE_ROWS", 4)
    rows = rows_of(inputs)
    seen = [rows.ahead(), rows.ahead()]
    rows.drop(3)
    seen.append(rows.ahead())
    rows.drop(4)
    seen.append(rows.ahead())
    rows.drop(10)
    seen += [rows.ahead(), rows.ahead()]
    assert seen == [4, 4, 4, 8, 10, 10]


def test_bytes_bound_what_is_read_ahead(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_rows, "RANGE_BYTES", 1)
    assert rows_of(inputs).ahead() == 4


def test_a_limit_ends_the_rows_within_a_shard(inputs: Inputs) -> None:
    assert rows_of(inputs, limit=6).ahead() == 6


def test_raw_rows_come_with_their_bytes(inputs: Inputs) -> None:
    rows = rows_of(inputs)
    rows.ahead()
    assert list(rows.raw([1, 5])) == [
        (1, {"n": 1, "t": "t1"}, b'{"n":1,"t":"t1"}'),
        (5, {"n": 5, "t": "t5"}, b'{"n":5,"t":"t5"}'),
    ]


def test_the_bytes_of_a_csv_row_are_not_taken_for_json(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a\n{"a":1}\n')
    rows = rows_of(Inputs.open([str(tmp_path / "a.csv")]))
    rows.ahead()
    assert list(rows.raw([0])) == [(0, {"a": '{"a":1}'}, b"")]


def test_shards_are_what_the_workers_saw(inputs: Inputs) -> None:
    first, second, _ = inputs.shards(rows=4)
    marks = [ShardMark(shard.first_row, shard.rows, shard.checksum) for shard in (second, first)]
    assert rows_of(inputs, marks).ahead() == 10


@pytest.mark.parametrize(
    "wrong", [ShardMark(4, 4, 1), ShardMark(4, 3, 0), ShardMark(6, 4, 0)], ids=str
)
def test_another_content_or_boundary_is_refused(inputs: Inputs, wrong: ShardMark) -> None:
    with pytest.raises(InputError, match="rows 4 to"):
        rows_of(inputs, [wrong]).ahead()


def test_what_was_appended_to_a_frozen_input_is_left_out(tmp_path: Path, inputs: Inputs) -> None:
    frozen = list(inputs.frozen)
    path = tmp_path / "a.jsonl"
    json_lines(path, [*read_lines(path), {"n": 10}, {"n": 11}])
    json_lines(tmp_path / "b.jsonl", [{"n": 12}])
    grown = Inputs.open([str(path), str(tmp_path / "b.jsonl")])
    grown.check(frozen)
    kept = list(as_frozen(grown.shards(rows=4), frozen))
    assert kept[-1].next.row == 10
