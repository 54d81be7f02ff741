from __future__ import annotations

import gzip
from pathlib import Path

from ledger.ledger_run import json_lines
from penstock.sources.inputs import Inputs
from penstock.sources.spread import Spread, spread

ROWS = 25_000


def inputs_of(folder: Path, rows: int = ROWS) -> Inputs:
    return Inputs.open([str(json_lines(folder / "in.jsonl", [{"n": n} for n in range(rows)]))])


def test_records_come_from_all_over_the_input_each_once(tmp_path: Path) -> None:
    found = spread(inputs_of(tmp_path), 50)
    rows = [record.row for record in found.records]
    assert (len(rows), found.rows, found.complete, found.rows_about) == (50, ROWS, True, ROWS)
    assert rows == sorted(set(rows))
    assert [record.fields for record in found.records] == [{"n": row} for row in rows]
    tenths = {row * 10 // ROWS for row in rows}
    assert tenths == set(range(10))
    assert len({row % 64 for row in rows}) > 16  # no period of the input's is taken for all of it


def test_a_small_input_is_taken_whole_and_a_limit_ends_it(tmp_path: Path) -> None:
    inputs = inputs_of(tmp_path, 7)
    assert [record.row for record in spread(inputs, 50).records] == list(range(7))
    found = spread(inputs, 50, limit=3)
    assert ([record.row for record in found.records], found.rows, found.complete) == (
        [0, 1, 2],
        3,
        True,
    )


def test_the_same_input_gives_the_same_sample(tmp_path: Path) -> None:
    inputs = inputs_of(tmp_path)
    assert spread(inputs, 20).records == spread(inputs, 20).records


def test_a_pass_that_ends_early_tells_about_how_many_rows_there_are(tmp_path: Path) -> None:
    found = spread(inputs_of(tmp_path), 20, enough=lambda: True)
    assert not found.complete and found.rows == 1000
    assert 0.7 * ROWS < found.rows_about < 1.4 * ROWS


def test_of_packed_input_without_a_restart_nothing_is_said_about_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"n":1}\n' * 3000))
    found = spread(Inputs.open([str(path)]), 20, enough=lambda: True)
    assert (found.complete, found.share, found.rows_about) == (False, 0.0, found.rows)
    assert Spread([], 10, False, 0.5).rows_about == 20
