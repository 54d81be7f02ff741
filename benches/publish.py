"""Writes the README's table and docs/benchmarks.svg out of the newest committed results.

    python benches/publish.py [--results FOLDER]

Nothing is measured here, and of the README only what stands between the two marks is changed.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import msgspec
from harness.figures import figures
from harness.plot import plot
from harness.result import RESULTS, Result, newest, read
from harness.table import figures_of, table

ROOT = Path(__file__).parents[1]
README, PICTURE = ROOT / "README.md", ROOT / "docs" / "benchmarks.svg"
BEGIN, END = "<!-- figures: make bench writes them -->", "<!-- end of figures -->"


def comparisons(folder: Path) -> list[Result]:
    """The newest of each kind, worked out anew from the raw runs; the engine's own first."""
    paths = [newest("engine", folder), newest("peers", folder)]
    results = [read(path) for path in paths if path]
    return [msgspec.structs.replace(one, figures=figures(one.runs)) for one in results]


def caption(result: Result) -> str:
    """What the figures are of, in a line."""
    machine = result.machine
    pairs = 1 + max(run.pair for run in result.runs)
    more = max(figure.requests for figure in result.figures if figure.client == "penstock")
    return (
        f"{'One pair' if pairs == 1 else f'Median of {pairs} interleaved pairs'} of {more:,} "
        f"records, penstock {result.versions['penstock']}, {result.measured_at[:10]}, "
        f"Python {result.versions['python'].split()[0]}, {machine.cpu}, {machine.cores} cores, "
        f"load {machine.load:.1f}"
    )


def section(results: list[Result]) -> str:
    """What stands between the marks."""
    return f"{BEGIN}\n{table(results)}\n\n{caption(results[0])}.\n{END}"


def with_section(page: str, results: list[Result]) -> str:
    """The README with the figures of these results. Raises ValueError where the marks are gone."""
    marked = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not marked.search(page):
        raise ValueError(f"{README.name} has no place for figures: {BEGIN}")
    return marked.sub(lambda _: section(results), page)


def picture(results: list[Result]) -> str:
    """The plot, of plain HTTP."""
    plain = [figure for (_, tls), figure in figures_of(results).items() if not tls]
    return plot(plain, caption(results[0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    results = comparisons(parser.parse_args().results)
    README.write_text(with_section(README.read_text(), results))
    PICTURE.write_text(picture(results))
    print(section(results))


if __name__ == "__main__":
    main()
