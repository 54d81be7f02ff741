"""The mutants are of this source, and a verdict on one is what it says."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

import pytest

from torture.mutant import ROOT, Mutant, Stale, read_mutants
from torture.mutant_copy import MutantCopy, make_interpreter
from torture.mutate import Case, cases_of, why_survived, why_survived_in

MUTANTS = read_mutants()
ROOMS = ("core", "engine", "ledger", "observe", "providers", "sources", "transport")


@cache
def names_in(path: Path) -> set[str]:
    found = ast.walk(ast.parse(path.read_text()))
    return {node.name for node in found if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_is_of_this_source_and_names_tests_that_are_there(mutant: Mutant) -> None:
    changed = mutant.changed((ROOT / mutant.file).read_text())
    if not mutant.is_of_the_core:
        ast.parse(changed)
    assert mutant.old != mutant.new
    assert mutant.tests
    for test in mutant.tests:
        file, name = test.split("::")
        assert name in names_in(ROOT / file), f"{mutant.name}: there is no {test}"


def test_every_room_has_mutants() -> None:
    assert {mutant.name.partition("/")[0] for mutant in MUTANTS} >= set(ROOMS)
    assert len(MUTANTS) >= 20


def test_a_mutant_of_another_source_says_so() -> None:
    mutant = Mutant("a rule", "src/x.py", "gone\n", "", ["t"], "room/name")
    with pytest.raises(Stale, match=r"room/name: src/x.py has its old text 0 times"):
        mutant.changed("other\n")
    with pytest.raises(Stale, match="2 times"):
        mutant.changed("gone\ngone\n")


@pytest.mark.parametrize(
    ("case", "why"),
    [
        (Case("t", "AssertionError: assert 1 == 2", None), ""),
        (Case("t", None, None), "t passes"),
        (Case("t", "Failed: Timeout (>60.0s) from pytest-timeout.", None), "t asserts nothing"),
        (Case("t", "NameError: name 'x' is not defined", None), "t asserts nothing"),
        (Case("t", None, "failed on setup with OSError"), "t asserts nothing"),
        (Case("u", "AssertionError", None), "t was not run to its end"),
    ],
)
def test_only_an_assertion_of_the_named_test_catches_a_mutant(case: Case, why: str) -> None:
    survived = why_survived(["t"], [case])
    assert survived.startswith(why) and bool(survived) == bool(why)


def test_a_mutant_that_can_not_be_built_is_told_and_ends_nothing(tmp_path: Path) -> None:
    mutant = Mutant("a rule", "src/_core.pyx", "old", "new", ["t"], "core/name")
    copy = object.__new__(MutantCopy)
    copy.folder, copy.python = tmp_path, "false"
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "_core.pyx").write_text("old")
    assert why_survived_in(copy, mutant).startswith("not built: ")


def test_a_report_is_read_by_tests_and_their_parameters(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite><testcase file="tests/a.py" name="test_b[1]">'
        '<failure message="AssertionError: x&#10;more">trace</failure></testcase>'
        '<testcase file="tests/a.py" name="test_c" /></testsuite></testsuites>'
    )
    assert cases_of(report) == [
        Case("tests/a.py::test_b", "AssertionError: x", None),
        Case("tests/a.py::test_c", None, None),
    ]
    assert cases_of(tmp_path / "none.xml") == []


def test_whatever_a_copy_starts_imports_the_copy(tmp_path: Path) -> None:
    """Also with `-P`, as workers are started, and whatever PYTHONPATH says."""
    package = tmp_path / "src" / "penstock"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "cli.py").write_text("def main():\n    print('the copy')\n")
    python = make_interpreter(tmp_path)
    program = "import penstock.cli, pyarrow, pytest; penstock.cli.main()"
    for command in ([python, "-P", "-c", program], [str(Path(python).with_name("penstock"))]):
        said = subprocess.run(
            command, capture_output=True, text=True, check=True, env={"PYTHONPATH": "/nowhere"}
        )
        assert said.stdout == "the copy\n"
