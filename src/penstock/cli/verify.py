"""`penstock verify`: check every byte of a run's results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import GroupedCommand

if TYPE_CHECKING:
    from penstock.cli.text import Section
    from penstock.ledger.verify import VerifyReport

HELP = """Check every byte of a run's results.

Every segment is read whole, and compared with what the run's checkpoint and summary tell of it. A
torn end and pending rows are what a crash leaves, and no fault. What was durable and is lost is a
problem: exit code 6.

\b
    penstock verify answers.parquet.run
"""


def verify(run_dir: str, as_json: bool) -> int:
    """Verify a run, and say what was found."""
    from penstock.cli.text import print_json, print_sections
    from penstock.errors import EXIT_COMPLETE, EXIT_INTERNAL
    from penstock.ledger.verify import verify as verify_run

    found = verify_run(Path(run_dir))
    if as_json:
        print_json(fields_of(found))
    else:
        print_sections(headline(run_dir, found), sections(found))
    return EXIT_COMPLETE if found.ok else EXIT_INTERNAL


def fields_of(found: VerifyReport) -> dict[str, Any]:
    """What was found, for --json."""
    import msgspec

    fields: dict[str, Any] = msgspec.to_builtins(found, str_keys=True)
    del fields["figures"]["latency_bins"]
    return {"ok": found.ok, **fields}


def headline(run_dir: str, found: VerifyReport) -> str:
    """Whether anything is wrong."""
    if found.ok:
        return f"{run_dir}: nothing is wrong"
    problems = len(found.problems)
    return f"{run_dir}: {problems} problem{'s' if problems != 1 else ''}"


def sections(found: VerifyReport) -> Iterator[Section]:
    """What was found."""
    from penstock.observe.words import count, size

    figures = found.figures
    yield "run", [found.run_id]
    if found.problems:
        yield "problems", found.problems
    verified = size(sum(one.verified_bytes for one in found.segments))
    yield "segments", [f"{len(found.segments)}, of which {verified} verify", *torn(found)]
    parts = f"{count(figures.succeeded)} succeeded + {count(figures.failed)} failed"
    yield "rows", [f"{count(figures.rows)} = {parts}", *copies(found)]
    if found.missing:
        yield "missing", [f"row {row_words(*one)}" for one in found.missing]


def torn(found: VerifyReport) -> Iterator[str]:
    """The segments that don't end as they should."""
    for one in found.segments:
        if one.is_torn:
            share = f"{one.verified_bytes} of {one.size_bytes} bytes verify"
            is_cut = one.verified_bytes < one.size_bytes
            yield f"{one.name} {f'has a torn end: {share}' if is_cut else 'has no end (yet)'}"


def copies(found: VerifyReport) -> Iterator[str]:
    """What there is besides one copy a row."""
    from penstock.observe.words import count

    if found.figures.duplicates:
        yield f"{count(found.figures.duplicates)} copies more, of rows that were asked twice"
    for number, rows in found.generations.items():
        if number:
            yield f"{count(rows)} asked again by redo {number}"


def row_words(first: int, end: int) -> str:
    """A range of rows, without its end."""
    return str(first) if end == first + 1 else f"{first} to {end - 1}"


command = GroupedCommand(
    "verify",
    callback=verify,
    params=[
        click.Argument(["run_dir"], metavar="RUN_DIR"),
        click.Option(["--json", "as_json"], is_flag=True, help="Print one line of JSON."),
    ],
    help=HELP,
)
