"""`penstock render`: the exact request of one row, without sending it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import GroupedCommand, GroupedOption, JobOption, job_flags, job_of
from penstock.errors import InputError
from penstock.job import Job

if TYPE_CHECKING:
    from penstock.cli.request import Shown
    from penstock.record import Record

HELP = """Show the exact request of one row, without sending it.

It needs neither a key nor an output. All options of `penstock run` are taken, so that its command
line can be used as it is; those that don't change a request are not shown here.

\b
    penstock render tickets.jsonl --row 0 --model gpt-4o-mini \\
        --prompt 'Summarize: {{ text }}'
"""

SHOWN = {"id", "json"}


def render(inputs: tuple[str, ...], row: int, **flags: Any) -> int:
    """Render one row, and print it."""
    from penstock.cli.text import print_json

    job = job_of(inputs, flags)
    record, request = rendered(job, row)
    if job.json:
        print_json({"row": record.row, "id": record.id, "where": record.where, **request.as_json()})
    else:
        click.echo(request.text)
    return 0


def rendered(job: Job, row: int) -> tuple[Record, Shown]:
    """A row's record, and its request as people see it. Raises UsageError."""
    from penstock.cli.reading import opened
    from penstock.cli.request import shown
    from penstock.providers.provider import UnrenderableRecord, provider_for
    from penstock.sources.attachments import attacher

    provider = provider_for(job)
    with tempfile.TemporaryDirectory(prefix="penstock-") as spool:
        record = opened(job, Path(spool)).record(row, job.id)
    attach = attacher(job)
    record = attach(record) if attach is not None else record
    if record.problem is not None:
        raise InputError(f"{record.where}: {record.problem}", "It will be a dead letter.")
    try:
        return record, shown(provider.request(record), provider, job)
    except UnrenderableRecord as error:
        raise InputError(f"{record.where}: {error}", "It will be a dead letter.") from None


def flags() -> list[click.Parameter]:
    """The flags of `penstock run`, of which only those that change a request are shown."""
    params = job_flags()
    for param in params:
        if isinstance(param, JobOption) and param.group != "Request":
            param.hidden = param.name not in SHOWN
        if param.name == "json":
            assert isinstance(param, click.Option)
            param.help = "Print the request as one line of JSON."
    return params


command = GroupedCommand(
    "render",
    callback=render,
    params=[
        click.Argument(["inputs"], nargs=-1, metavar="INPUT..."),
        GroupedOption(
            ["--row"],
            group="Which row",
            type=click.IntRange(min=0),
            default=0,
            metavar="N",
            help="The row's number, from 0, over all inputs in order. [default: 0]",
        ),
        *flags(),
    ],
    help=HELP,
)
