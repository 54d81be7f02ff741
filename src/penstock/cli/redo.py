"""`penstock redo`: ask again for rows that ended as dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from penstock.cli.options import GroupedCommand, GroupedOption, command_line, given, job_flags
from penstock.errors import UsageError
from penstock.job import Job
from penstock.origins import reason, with_files

HELP = """Ask again for rows that ended as dead letters, and export anew.

Options given here hold for this redo alone: another prompt, model or --param for its requests,
other limits. An interrupted redo is resumed by the same command.

\b
    penstock redo answers.parquet.run --only timeout,server_error \\
        --timeout 900
"""

NOT_HERE = {"output", "run_dir", "fresh", "yes", "id", "keep", "prefix", "limit", "overwrite"}

# How this call shows itself, whatever the run's own command asked for.
OF_THIS_CALL = ("json", "progress")


def redo(run_dir: str, only: str | None, rows: str | None, **flags: Any) -> int:
    """Begin the redo, then run it."""
    from penstock.api import show_run
    from penstock.engine.redo import begin
    from penstock.ledger.run_directory import RunDirectory

    numbers = frozenset(read_rows(Path(rows))) if rows is not None else None
    classes = [name.strip() for name in (only or "").split(",") if name.strip()]
    kept = RunDirectory(Path(run_dir)).manifest().job["header"]
    changes = with_headers(with_files(given(flags)), kept)
    job, redo = begin(Path(run_dir), only=classes, rows=numbers, changes=changes)
    click.echo(f"redo {redo.number}: {len(redo.rows)} rows are asked again", err=True)
    shown = {name: changes.get(name, getattr(Job(), name)) for name in OF_THIS_CALL}
    job = msgspec.structs.replace(job, run_dir=run_dir, **shown)
    return show_run(job, command=command_line())


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


def read_rows(path: Path) -> list[int]:
    """The row numbers in a file, one a line. Raises UsageError."""
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--rows {path}: {reason(error)}", "Name a file of row numbers.") from None
    bad = next((line for line in lines if not line.isdecimal()), None)
    if bad is not None:
        raise UsageError(f"--rows {path}: {bad!r} is no row number", "Write one number a line.")
    return [int(line) for line in lines]


command = GroupedCommand(
    "redo",
    callback=redo,
    params=[
        click.Argument(["run_dir"], metavar="RUN_DIR"),
        GroupedOption(
            ["--only"],
            group="Which rows",
            metavar="CLASS,...",
            help="Only dead letters of these error classes.",
        ),
        GroupedOption(
            ["--rows"],
            group="Which rows",
            metavar="FILE",
            help="Only the rows whose numbers FILE lists, one a line.",
        ),
        *job_flags(lambda one: one.name not in NOT_HERE)[1:],
    ],
    help=HELP,
)
