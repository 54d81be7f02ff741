"""`penstock tune`: change the limits of a run, also while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from penstock.cli.options import GroupedCommand, given, job_flags

HELP = """Change the limits of a run, also while it goes on.

A run under way takes them within a second. They stay for when it is resumed, before those of a job
file; flags and PENSTOCK_* variables of the command that resumes it go before them. What is not
named stays as it is; without a flag, what was tuned is shown.

\b
    penstock tune answers.parquet.run --rpm 5000 --max-concurrency 800
"""


UNDER_WAY = "The run under way takes it within a second."
RESUMED = "No run is under way: the command that resumes it takes these, unless it gives others."


def tune(run_dir: str, **flags: Any) -> int:
    """Put the new limits where the run finds them."""
    from datetime import UTC, datetime

    import msgspec

    from penstock.cli.survey import is_held
    from penstock.disk import Disk
    from penstock.engine.tuning import flag_of
    from penstock.ledger.run_directory import RunDirectory
    from penstock.ledger.tuned import Tuned, read_tuned, write_tuned

    directory, changes = RunDirectory(Path(run_dir)), given(flags)
    directory.manifest()  # raises where there is no run
    tuned = read_tuned(directory) or Tuned()
    if changes:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        tuned = msgspec.structs.replace(tuned, **changes, tuned_at=now)
        write_tuned(Disk(), directory, tuned)
    told = ", ".join(map(flag_of, tuned.values().items()))
    click.echo(f"{run_dir}: {f'tuned: {told}' if told else 'nothing was tuned'}")
    if changes:
        click.echo(UNDER_WAY if is_held(directory.lock_path) else RESUMED)
    return 0


def tunable(name: str) -> bool:
    """Whether an option can be changed while a run goes on."""
    from penstock.ledger.tuned import TUNABLE

    return name in TUNABLE


command = GroupedCommand(
    "tune",
    callback=tune,
    params=[
        click.Argument(["run_dir"], metavar="RUN_DIR"),
        *job_flags(lambda one: tunable(one.name))[1:],
    ],
    help=HELP,
)
