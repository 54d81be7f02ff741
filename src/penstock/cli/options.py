"""The job's options as flags: made from the fields of `Job`, shown in its groups."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from typing import Any, get_origin

import click

from penstock.job import (
    Job,
    Option,
    allowed_words,
    load_job,
    options,
    parse_pair,
    parse_text,
    plain_types,
)

SHORT = {"output": "-o", "job": "-j"}


class JobCommand(click.Command):
    """A command whose flags are the job's options, shown by group."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shown = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        for group, members in groupby(shown, key=lambda param: getattr(param, "group", "Other")):
            rows = [row for param in members if (row := param.get_help_record(ctx)) is not None]
            with formatter.section(group):
                formatter.write_dl(rows, col_max=34)


class JobOption(click.Option):
    """A flag that sets one field of the job."""

    def __init__(self, one: Option) -> None:
        self.one = one
        self.group = one.group
        flags = [one.flag] + ([SHORT[one.name]] if one.name in SHORT else [])
        is_flag = plain_types(one.type) == [bool]
        super().__init__(
            [*flags, one.name],
            help=one.help + shown_default(one),
            metavar=None if is_flag else metavar(one),
            is_flag=is_flag,
            default=None,
            multiple=get_origin(one.type) is dict,
        )


def metavar(one: Option) -> str:
    """What a flag's value looks like."""
    return one.metavar or "|".join(allowed_words(one)) or "VALUE"


def shown_default(one: Option) -> str:
    """The default in a help text, where there is one worth showing."""
    if one.default in (None, False, "", (), {}):
        return ""
    return (
        f"  [default: {one.default:g}]"
        if isinstance(one.default, float)
        else (f"  [default: {one.default}]")
    )


def job_flags(only: Callable[[Option], bool] = lambda one: True) -> list[click.Parameter]:
    """The flags of all options but the inputs, which are arguments."""
    job_file = click.Option(
        ["--job", "-j", "job_file"],
        metavar="FILE",
        help="A TOML file with any of these options as keys; flags and PENSTOCK_* variables win.",
    )
    job_file.group = "Job"  # type: ignore[attr-defined]  # read by JobCommand
    flags = [JobOption(one) for one in options() if one.name != "inputs" and only(one)]
    return [job_file, *flags]


def given(flags: dict[str, Any]) -> dict[str, Any]:
    """Only the flags that were given, as values of the job."""
    by_name = {one.name: one for one in options()}
    values: dict[str, Any] = {}
    for name, value in flags.items():
        if value is None or value == () or name not in by_name:
            continue
        one = by_name[name]
        if isinstance(value, str):
            values[name] = parse_text(one, value, one.flag)
        elif isinstance(value, tuple):
            values[name] = dict(parse_pair(one, part) for part in value)
        else:
            values[name] = value
    return values


def job_of(inputs: Iterable[str], flags: dict[str, Any]) -> Job:
    """The job of a command line, with the environment and the job file under it."""
    values = given(flags)
    if inputs := tuple(inputs):
        values["inputs"] = inputs
    file = flags.get("job_file")
    return load_job(values, file=Path(file) if file else None)


def paragraph(text: str) -> str:
    """Text without its indentation, for a command's help."""
    return textwrap.dedent(text).strip()
