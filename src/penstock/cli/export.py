"""`penstock export`: write a run's results to a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli.options import GroupedCommand

if TYPE_CHECKING:
    from penstock.cli.text import Section
    from penstock.ledger.export import ExportReport

HELP = """Write a run's results to a file, in input order, the input's columns beside them.

A run writes its output itself when it is complete. This writes another format, or what is there
already of a run that was stopped or still goes on; without --partial it ends with exit code 6 where
a row has no result yet. The input is read again: call it from where the run was called.

\b
    penstock export answers.parquet.run -o so_far.csv --partial
"""


def export(run_dir: str, output: str, partial: bool, overwrite: bool, as_json: bool) -> int:
    """Write the file, and say what it holds."""
    from penstock.cli.text import print_json, print_sections
    from penstock.ledger.export import export as export_run

    done = export_run(Path(run_dir), Path(output), partial=partial, overwrite=overwrite)
    if as_json:
        print_json(fields_of(done))
    else:
        what = "what is there of " if partial else ""
        print_sections(f"Exported {what}{run_dir}", sections(done), err=True)
    return 0


def fields_of(done: ExportReport) -> dict[str, object]:
    """What was written, for --json."""
    return {
        "output": str(done.output),
        "output_bytes": done.output_bytes,
        "failed_output": str(done.failed_output) if done.failed_output else None,
        "rows": done.figures.rows,
        "succeeded": done.figures.succeeded,
        "failed": done.figures.failed,
        "widened": done.widened,
    }


def sections(done: ExportReport) -> Iterator[Section]:
    """What was written, for people."""
    from penstock.observe.words import count, size

    figures = done.figures
    parts = f"{count(figures.succeeded)} succeeded + {count(figures.failed)} failed"
    yield "rows", [f"{count(figures.rows)} = {parts}"]
    yield "output", [f"{done.output} · {size(done.output_bytes)}"]
    if done.failed_output is not None:
        yield "dead letters", [str(done.failed_output)]
    if done.widened:
        yield "columns", done.widened


command = GroupedCommand(
    "export",
    callback=export,
    params=[
        click.Argument(["run_dir"], metavar="RUN_DIR"),
        click.Option(
            ["-o", "--output"],
            required=True,
            metavar="PATH",
            help="Where to, by suffix: .parquet, .arrow, .jsonl or .csv.",
        ),
        click.Option(
            ["--partial"], is_flag=True, help="Only the rows that are done, also of a live run."
        ),
        click.Option(
            ["--overwrite"], is_flag=True, help="Replace a file that this run did not make."
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="Print one line of JSON."),
    ],
    help=HELP,
)
