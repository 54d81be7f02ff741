from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

import penstock.cli.comparison as comparison
from cli.conftest import Penstock
from ledger.ledger_rows import answer, dead
from ledger.ledger_run import Run, json_lines, read_lines
from penstock.record import Result

ROWS = 6


def run_of(folder: Path, results: list[Result], name: str = "in.jsonl") -> Run:
    """A run of six rows that ended so."""
    folder.mkdir()
    given = [{"id": f"r-{row}", "text": f"text {row}"} for row in range(ROWS)]
    run = Run(folder, json_lines(folder / name, given), output=str(folder / "out.jsonl"))
    run.put(results)
    return run


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs: three answers alike, one of them as JSON alone, one other, one failed in one."""
    first = [
        answer(0, output="same"),
        answer(1, output='{"a": 1, "b": [2]}'),
        answer(2, output="yes"),
        answer(3, output="same too"),
        answer(4, output="fine"),
        dead(5, "timeout"),
    ]
    second = [
        answer(0, output="same"),
        answer(1, output='{"b":[2],"a":1}', cost_usd=0.5),
        answer(2, output="no"),
        answer(3, output="same too"),
        dead(4, "server_error"),
        dead(5, "timeout"),
    ]
    runs = (run_of(tmp_path / "a", first), run_of(tmp_path / "b", second))
    return runs[0].run_dir.path, runs[1].run_dir.path


def test_agreement_outcomes_tokens_and_cost_stand_beside_each_other(
    penstock: Penstock, pair: tuple[Path, Path]
) -> None:
    found = penstock("diff", *pair)
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("75 % of 4 answers are the same\n")
    for line in (
        "6 in both, matched by row",
        "2 same text · 1 same JSON · 1 other",
        "succeeded -> server_error 1",
        "A $1.25",
        "B $1.25",
        "row 2 (r-2)",
        "    yes",
        "    failed: server_error",
    ):
        assert line in found.out
    assert "row 5" not in found.out  # both failed alike
    fields = penstock("diff", *pair, "--json", "-n", 1).json
    assert (fields["matched"], fields["agreement"]) == (6, 0.75)
    assert fields["differences"] == [{"row": 2, "id": "r-2", "a": "yes", "b": "no"}]
    assert fields["a"]["failed"] == 1 and fields["b"]["failed"] == 2


def test_the_joined_table_has_both_of_every_row(
    penstock: Penstock, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    target = tmp_path / "both.parquet"
    assert penstock("diff", *pair, "-o", target).code == 0
    rows = pq.read_table(target).to_pylist()
    assert [row["same"] for row in rows] == ["text", "json", None, "text", None, None]
    assert (rows[2]["output_a"], rows[2]["output_b"]) == ("yes", "no")
    assert rows[4]["error_class_b"] == "server_error" and rows[4]["outcome_a"] == "succeeded"
    assert "--overwrite" in penstock("diff", *pair, "-o", target).err
    assert penstock("diff", *pair, "-o", target, "--overwrite").code == 0
    assert penstock("diff", *pair, "-o", tmp_path / "both.xlsx").code == 2
    assert penstock("diff", *pair, "-o", tmp_path / "both.jsonl").code == 0
    assert len(read_lines(tmp_path / "both.jsonl")) == 6
    assert not list(tmp_path.glob(".*"))


def test_rows_in_another_order_are_matched_by_their_ids(
    penstock: Penstock, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "PART_ROWS", 2)  # several parts
    turned = [answer(row, id=f"r-{5 - row}", output=f"o {5 - row}") for row in range(4)]
    run = run_of(tmp_path / "c", turned)
    json_lines(tmp_path / "c" / "in.jsonl", [{"id": f"r-{5 - row}"} for row in range(ROWS)])
    fields = penstock("diff", pair[0], run.run_dir.path, "--by", "id", "--json").json
    assert (fields["by"], fields["matched"]) == ("id", 4)
    assert (fields["only_a"], fields["only_b"]) == (2, 0)
    by_id = {one["id"]: one for one in fields["differences"]}
    assert all(one["b"] == f"o {name.removeprefix('r-')}" for name, one in by_id.items())


def test_ids_that_are_missing_or_twice_match_nothing(
    penstock: Penstock, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    nameless = run_of(tmp_path / "c", [answer(0, id=None)]).run_dir.path
    twice = run_of(tmp_path / "d", [answer(0, id="x"), answer(1, id="x")]).run_dir.path
    other = run_of(tmp_path / "e", [answer(0, id="y")]).run_dir.path
    assert "row 0 has no id" in penstock("diff", pair[0], nameless, "--by", "id").err
    assert "the id 'x' is there more than once" in penstock("diff", twice, other, "--by", "id").err
    found = penstock("diff", pair[0], other, "--by", "id")
    assert found.code == 2 and "have no rows in common" in found.err
    assert penstock("diff", pair[0], tmp_path).code == 2


def test_runs_over_other_inputs_are_matched_by_id_unless_told(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    first, second = (comparison.side_of(path) for path in pair)
    assert comparison.matching(first, second) == "row"
    folder = tmp_path / "f"
    folder.mkdir()
    other = Run(folder, json_lines(folder / "in.jsonl", [{"id": "a"}]), output="out.jsonl")
    assert comparison.matching(first, comparison.side_of(other.run_dir.path)) == "id"
