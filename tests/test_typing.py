"""Types: the package's own, and those that a caller's type checker sees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CALLER = """
from collections.abc import Iterator
from pathlib import Path

import penstock
from penstock import PenstockError, Report


def ask(rows: Iterator[dict[str, str]]) -> int:
    try:
        report = penstock.run(rows, Path("out.parquet"), model="m", prompt="{{ text }}", rpm=60)
    except PenstockError as error:
        print(error.what, error.next_step, error.exit_code, error.report)
        return error.exit_code
    reveal_type(report)
    reveal_type(report.exit_code)
    reveal_type(report.table())
    print(report.failed_by_class["timeout"].count, report.rows_in, report.tokens["reasoning"])
    for batch in penstock.results("out.parquet.run", partial=True):
        print(batch.num_rows)
    return report.exit_code


async def ask_later(table: object) -> Report:
    return await penstock.arun(inputs=table, output="out.csv", model="m", messages="messages")


reveal_type(penstock.__version__)
"""

REVEALED = ["Report", "int", "str", "str"]

MISTAKES = {
    "penstock.run('in.jsonl')": 'Missing positional argument "output"',
    "penstock.results('a.run', part=True)": 'Unexpected keyword argument "part"',
    "penstock.run('a', 'b').exit": '"Report" has no attribute "exit"',
    "penstock.nonsense": 'Module has no attribute "nonsense"',
}


def mypy(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mypy", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.xdist_group("mypy")
def test_the_package_is_strictly_typed() -> None:
    done = mypy("--strict", "src/penstock", cwd=ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.xdist_group("mypy")
def test_a_callers_script_is_checked_against_the_package(tmp_path: Path) -> None:
    (tmp_path / "caller.py").write_text(CALLER)
    wrong = "\n".join(["import penstock", *MISTAKES])
    (tmp_path / "wrong.py").write_text(wrong)
    cache = ROOT / ".mypy_cache" / "caller"
    done = mypy(
        "--config-file=", "--strict", f"--cache-dir={cache}", "caller.py", "wrong.py", cwd=tmp_path
    )
    lines = done.stdout.splitlines()
    revealed = [line.split('"')[1] for line in lines if "note: Revealed" in line]
    assert [kind.rpartition(".")[2] for kind in revealed] == REVEALED
    errors = [line.partition(": error: ")[2] for line in lines if ": error: " in line]
    assert len(errors) == len(MISTAKES), done.stdout
    for found, expected in zip(errors, MISTAKES.values(), strict=True):
        assert expected in found
