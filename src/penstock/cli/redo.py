"""`penstock redo`: ask again for dead letters, and for answers that are no good."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from penstock.cli.options import GroupedCommand, GroupedOption, command_line, given, job_flags
from penstock.errors import UsageError
from penstock.job import Job
from penstock.origins import reason, with_files

if TYPE_CHECKING:
    from penstock.engine.redo import Named

HELP = """Ask again for dead letters, or for answers that are no good, and export anew.

Without --only and --rows all dead letters are asked again. An answer is replaced only by another
answer: a row that fails now keeps the one that it had.

Options given here hold for this redo alone: another prompt, model or --param for its requests,
other limits. An interrupted redo is resumed by the same command.

\b
    penstock redo answers.parquet.run --only timeout,server_error \\
        --timeout 900
    penstock redo answers.parquet.run --only truncated --param max_tokens=4000
    penstock redo answers.parquet.run --rows bad_ids.txt
"""

NOT_HERE = {"output", "run_dir", "fresh", "yes", "id", "keep", "prefix", "limit", "overwrite"} | {
    "schema",
    "flatten",
    "simulate",
}

# How this call shows itself, whatever the run's own command asked for.
OF_THIS_CALL = ("json", "progress")


def redo(run_dir: str, only: str | None, rows: str | None, ids: str | None, **flags: Any) -> int:
    """Begin the redo, then run it."""
    from penstock.api import show_run
    from penstock.engine.redo import begin
    from penstock.ledger.run_directory import RunDirectory

    named = read_named(rows, ids)
    classes = [name.strip() for name in (only or "").split(",") if name.strip()]
    kept = RunDirectory(Path(run_dir)).manifest().job["header"]
    changes = with_headers(with_files(given(flags)), kept)
    job, redo = begin(Path(run_dir), only=classes, named=named, changes=changes)
    click.echo(f"redo {redo.number}: {len(redo.rows)} rows are asked again", err=True)
    shown = {name: changes.get(name, getattr(Job(), name)) for name in OF_THIS_CALL}
    job = msgspec.structs.replace(job, run_dir=run_dir, **shown)
    return show_run(job, command=command_line(), explicit=frozenset(changes))


def with_headers(changes: Mapping[str, Any], kept: Mapping[str, str]) -> dict[str, Any]:
    """`changes` with the run's own headers, as `run.json` has kept them. Raises UsageError.

    A header's value is not kept, unless it is `env:VAR`; without it the redo would ask otherwise.
    """
    headers = {**kept, **changes.get("header", {})}
    for name, value in headers.items():
        if value == "***":
            raise UsageError(
                f"the value of --header {name} is not kept in the run directory",
                f"Give it again: --header '{name}=...'",
            )
    return {**changes, "header": headers} if headers else dict(changes)


def read_named(rows: str | None, ids: str | None) -> Named | None:
    """The rows that files name, by number or by id; None for no file. Raises UsageError."""
    from penstock.engine.redo import Named

    if rows is not None and ids is not None:
        raise UsageError("both --rows and --ids are given", "Keep one of them.")
    if ids is not None:
        return Named("id", read_lines("--ids", Path(ids)))
    if rows is None:
        return None
    lines = read_lines("--rows", Path(rows))
    if all(line.isascii() and line.isdecimal() for line in lines):
        return Named("row", [int(line) for line in lines])
    return Named("id", lines)


def read_lines(flag: str, path: Path) -> list[str]:
    """The lines of a file, blank ones left out. Raises UsageError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{flag} {path}: {reason(error)}", "Name a file with a row on each line."
        ) from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise UsageError(f"{flag} {path}: names no row", "Write one on each line.")
    return lines


command = GroupedCommand(
    "redo",
    callback=redo,
    params=[
        click.Argument(["run_dir"], metavar="RUN_DIR"),
        GroupedOption(
            ["--only"],
            group="Which rows",
            metavar="CLASS,...",
            help="Dead letters of these error classes, and answers that ended so: `truncated`, or "
            "a finish_reason.",
        ),
        GroupedOption(
            ["--rows"],
            group="Which rows",
            metavar="FILE",
            help="The rows that FILE lists, one a line, also answered ones: numbers, or ids where "
            "not all are numbers.",
        ),
        GroupedOption(
            ["--ids"],
            group="Which rows",
            metavar="FILE",
            help="The same by their ids, which may be numbers too.",
        ),
        *job_flags(lambda one: one.name not in NOT_HERE)[1:],
    ],
    help=HELP,
)
