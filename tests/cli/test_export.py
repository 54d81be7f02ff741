from __future__ import annotations

from pathlib import Path

import pyarrow.csv

from cli.conftest import Penstock
from ledger.ledger_run import Run
from penstock.errors import EXIT_INTERNAL, EXIT_USAGE


def test_a_complete_run_is_written_and_told_on_standard_error(
    penstock: Penstock, complete: Run, tmp_path: Path
) -> None:
    target = tmp_path / "other.csv"
    found = penstock("export", complete.run_dir.path, "-o", target)
    assert (found.code, found.out) == (0, "")
    assert "10 = 9 succeeded + 1 failed" in found.err and f"{target} · " in found.err
    assert f"{target}.failed.jsonl" in found.err
    assert pyarrow.csv.read_csv(target).column("text").to_pylist() == [
        f"text {row}" for row in range(10)
    ]


def test_rows_that_are_missing_are_exit_6_unless_partial(
    penstock: Penstock, stopped: Run, tmp_path: Path
) -> None:
    target = tmp_path / "other.csv"
    found = penstock("export", stopped.run_dir.path, "-o", target)
    assert (found.code, found.out) == (EXIT_INTERNAL, "")
    assert "row 6 has no result yet" in found.err and not target.exists()
    partial = penstock("export", stopped.run_dir.path, "-o", target, "--partial", "--json")
    assert partial.code == 0 and partial.err == ""
    assert partial.json == {
        "output": str(target),
        "output_bytes": target.stat().st_size,
        "failed_output": f"{target}.failed.jsonl",
        "rows": 6,
        "succeeded": 5,
        "failed": 1,
        "widened": [],
    }


def test_a_file_in_the_way_is_kept_unless_overwrite(
    penstock: Penstock, complete: Run, tmp_path: Path
) -> None:
    target = tmp_path / "other.csv"
    target.write_text("mine")
    found = penstock("export", complete.run_dir.path, "-o", target)
    assert found.code == EXIT_USAGE and target.read_text() == "mine"
    assert penstock("export", complete.run_dir.path, "-o", target, "--overwrite").code == 0
    assert target.read_text() != "mine"


def test_an_output_has_to_be_named(penstock: Penstock, complete: Run) -> None:
    found = penstock("export", complete.run_dir.path)
    assert found.code == EXIT_USAGE and "missing option '-o'" in found.err
