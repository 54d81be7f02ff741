"""`penstock run`: take records through an LLM API; the same command resumes."""

from __future__ import annotations

import sys
from typing import Any

import click

from penstock.cli.options import GroupedCommand, command_line, given, job_flags, job_of
from penstock.errors import JobError
from penstock.job import Job
from penstock.origins import explicit

HELP = """Take records through an LLM API, every one answered or accounted for.

INPUT is a JSONL file (also .gz, .zst), a CSV, Parquet or Arrow file, a glob, a directory, or - for
standard input. The same command resumes a run that was stopped, whatever stopped it.

\b
    penstock run tickets.jsonl -o answers.parquet --model gpt-4o-mini \\
        --prompt 'Summarize: {{ text }}' --rpm 5000 --tpm 2000000
"""


def run(inputs: tuple[str, ...], **flags: Any) -> int:
    """Conduct the job, and show what it came to."""
    from penstock.api import show_run

    job = job_of(inputs, flags)
    confirm_fresh(job)
    return show_run(job, command=command_line(), explicit=explicit(given(flags)))


def confirm_fresh(job: Job) -> None:
    """Ask before --fresh moves a run with paid results aside.

    Raises JobError without a terminal.
    """
    from penstock.engine.opening import run_directory_of
    from penstock.ledger.run_directory import RunDirectory

    if not job.fresh or job.yes or not RunDirectory(run_directory_of(job)).exists():
        return
    if not sys.stdin.isatty():
        raise JobError(
            f"--fresh would move {run_directory_of(job)} aside, and there is no terminal to ask",
            "Add --yes.",
        )
    click.confirm(f"Move {run_directory_of(job)} aside and begin anew?", abort=True, err=True)


command = GroupedCommand(
    "run",
    callback=run,
    params=[click.Argument(["inputs"], nargs=-1, metavar="INPUT..."), *job_flags()],
    help=HELP,
)
