"""`make mutants`: breaks the source, one rule at a time, and shows that a test notices.

A test that never failed has proven nothing. Every mutant in `mutants/` is applied to a copy of the
tree, and the tests that it names are run there: each must fail, and by an assertion, not since the
copy can't be imported or a time limit ran out. Before that they must all pass in a copy that is
whole. The command fails if a mutant survives or is of another source than this.

    python -m torture.mutate [--jobs N] [WORD ...]     mutants with a WORD in their name
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree import ElementTree

from torture.mutant import ROOT, Mutant, Stale, read_mutants
from torture.mutant_copy import MutantCopy

# What shows that a test could not be run, or did not end: nothing that it asserts.
NO_PROOF: Final = (
    "Failed: Timeout",
    "ImportError",
    "ModuleNotFoundError",
    "NameError",
    "SyntaxError",
    "subprocess.TimeoutExpired",
)


class Case(NamedTuple):
    """How a test ended; one that takes parameters has several."""

    test: str  # its node id, without parameters
    failure: str | None  # the first line of what it failed by
    error: str | None  # of what kept it from being run


class Judgement(NamedTuple):
    """What became of a mutant."""

    mutant: Mutant
    survived: str  # why it is not caught, in words; empty if it is
    seconds: float


def cases_of(report: Path) -> list[Case]:
    """The cases of a JUnit report; none where pytest wrote none."""
    if not report.exists():
        return []
    return [
        Case(
            f"{one.get('file')}::{str(one.get('name')).partition('[')[0]}",
            message_of(one.find("failure")),
            message_of(one.find("error")),
        )
        for one in ElementTree.parse(report).iter("testcase")
    ]


def message_of(element: ElementTree.Element | None) -> str | None:
    if element is None:
        return None
    message = element.get("message") or (element.text or "").strip()
    return (message.splitlines() or [""])[0]


def why_survived(tests: Iterable[str], cases: Iterable[Case]) -> str:
    """Why a mutant is not caught by each of its tests; empty if it is."""
    cases = list(cases)
    for test in tests:
        of_test = [one for one in cases if one.test == test]
        failures = [one.failure for one in of_test if one.failure is not None]
        if any(not failure.startswith(NO_PROOF) for failure in failures):
            continue
        broken = failures + [one.error for one in of_test if one.error is not None]
        if broken:
            return f"{test} asserts nothing: {broken[0]}"
        return f"{test} {'passes' if of_test else 'was not run to its end'}"
    return ""


def judge(mutant: Mutant) -> Judgement:
    """Break a copy of the tree, and run the mutant's tests in it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        survived = why_survived_in(MutantCopy(Path(folder)), mutant)
    return Judgement(mutant, survived, time.monotonic() - began)


def why_survived_in(copy: MutantCopy, mutant: Mutant) -> str:
    """Why a mutant is not caught in a copy that is broken by it; empty if it is."""
    try:
        mutant.apply(copy.folder)
        if mutant.is_of_the_core:
            copy.build()
    except Stale as stale:
        return f"out of date: {stale}"
    except subprocess.SubprocessError as error:  # the others are tried all the same
        return f"not built: {error}"
    return why_survived(mutant.tests, cases_of(copy.test(mutant.tests)))


def check_unbroken(mutants: list[Mutant], jobs: int) -> str:
    """Run all named tests in a copy that is whole; returns what is wrong, if anything is."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = MutantCopy(Path(folder))
        cases = cases_of(copy.test(tests, "-n", str(jobs)))
        wrong = [one.test for one in cases if one.failure is not None or one.error is not None]
        if not wrong and {one.test for one in cases} >= set(tests):
            return ""
        return copy.said


def judged(mutants: list[Mutant], jobs: int) -> Iterator[Judgement]:
    """The judgements, as they come."""
    with ThreadPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(judge, mutant) for mutant in mutants]):
            yield done.result()


def table(judgements: Iterable[Judgement]) -> str:
    """All mutants with what caught each."""
    lines = []
    for mutant, survived, seconds in sorted(judgements, key=lambda one: one.mutant.name):
        verdict = "SURVIVED" if survived else "caught"
        lines += [f"{verdict:<8} {seconds:5.1f} s  {mutant.name}", f"{'':18}{mutant.rule}"]
        lines += [f"{'':18}by {test}" for test in mutant.tests]
        if survived:
            lines.append(f"{'':18}{survived}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(description="Shows that a broken rule fails a test.")
    parser.add_argument("words", nargs="*", metavar="WORD", help="mutants with it in their name")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    words = options.words or [""]
    mutants = [one for one in read_mutants() if any(word in one.name for word in words)]
    if not mutants:
        print(f"no mutant has {' or '.join(words)} in its name", file=sys.stderr)
        return 2
    # A shell has what it starts in the background ignore it, and so would the runs under test.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print(f"{len(mutants)} mutants of {ROOT}: first their tests, unbroken", flush=True)
    if wrong := check_unbroken(mutants, options.jobs):
        print(f"{wrong}\nA test fails though nothing is broken, so that it proves nothing.")
        return 1
    began = time.monotonic()
    found = []
    for one in judged(mutants, options.jobs):
        found.append(one)
        verdict = f"SURVIVED: {one.survived}" if one.survived else "caught"
        print(f"{len(found):>4}/{len(mutants)} {one.mutant.name}: {verdict}", flush=True)
    survivors = [one for one in found if one.survived]
    print(f"\n{table(found)}\n")
    print(f"{len(found) - len(survivors)} of {len(found)} caught, {time.monotonic() - began:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
