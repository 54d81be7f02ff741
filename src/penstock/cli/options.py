"""The job's options as flags: made from the fields of `Job`, shown in its groups."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from typing import Any, get_origin

import click

from penstock.job import Job, Option, options
from penstock.origins import (
    allowed_words,
    convert,
    load_job,
    parse_pair,
    parse_text,
    plain_types,
    split_pairs,
)

SHORT = {"output": "-o"}

# Of the flags in a help text; a longer one stands on a line of its own.
FLAG_COLUMNS = 24


class GroupedCommand(click.Command):
    """A command whose flags are shown by group, aligned over all groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shown = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        for group, members in groupby(shown, key=group_of):
            records = [found for one in members if (found := one.get_help_record(ctx)) is not None]
            if records:
                with formatter.section(group):
                    formatter.write_dl(
                        [(flag.ljust(FLAG_COLUMNS), text) for flag, text in records],
                        col_max=FLAG_COLUMNS,
                    )


class GroupedOption(click.Option):
    """A flag that is shown in a group."""

    def __init__(self, names: list[str], *, group: str = "Options", **how: Any) -> None:
        super().__init__(names, **how)
        self.group = group


class JobOption(GroupedOption):
    """A flag that sets one field of the job."""

    def __init__(self, one: Option) -> None:
        self.one = one
        is_flag = plain_types(one.type) == [bool]
        super().__init__(
            [one.flag, *([SHORT[one.name]] if one.name in SHORT else []), one.name],
            group=one.group,
            help=one.help + shown_default(one.default),
            metavar=None if is_flag else metavar(one),
            is_flag=is_flag,
            default=None,
            # Endpoints are given at once, as JSON.
            multiple=get_origin(one.type) in (dict, tuple) and one.name != "endpoints",
        )


def group_of(param: click.Option) -> str:
    """The heading that a flag stands under."""
    return getattr(param, "group", "Options")


def metavar(one: Option) -> str:
    """What a flag's value looks like."""
    return one.metavar or "|".join(allowed_words(one)) or "VALUE"


def shown_default(default: Any) -> str:
    """The default in a help text, where there is one worth showing."""
    if default in (None, False, "", (), {}):
        return ""
    return f" [default: {default:g}]" if isinstance(default, float) else f" [default: {default}]"


def job_flags(only: Callable[[Option], bool] = lambda one: True) -> list[click.Parameter]:
    """The flags of all options but the inputs, which are arguments."""
    job_file = GroupedOption(
        ["--job", "-j", "job_file"],
        group="Job",
        metavar="FILE",
        help="A TOML file with any of these options as keys; flags and PENSTOCK_* variables win.",
    )
    flags = [JobOption(one) for one in options() if one.name != "inputs" and only(one)]
    return [job_file, *flags]


def given(flags: dict[str, Any]) -> dict[str, Any]:
    """Only the flags that were given, as values of the job. Raises JobError."""
    by_name = {one.name: one for one in options()}
    values: dict[str, Any] = {}
    for name, value in flags.items():
        if value is None or value == () or name not in by_name:
            continue
        one = by_name[name]
        if isinstance(value, str):
            values[name] = parse_text(one, value, one.flag)
        elif isinstance(value, tuple) and get_origin(one.type) is tuple:
            values[name] = value
        elif isinstance(value, tuple):
            pairs = (part for text in value for part in split_pairs(one, text))
            values[name] = dict(parse_pair(one, part) for part in pairs)
        else:
            values[name] = value
    convert(values)
    return values


def job_of(inputs: Iterable[str], flags: dict[str, Any]) -> Job:
    """The job of a command line, with the environment and the job file under it."""
    values = given(flags)
    if inputs := tuple(inputs):
        values["inputs"] = inputs
    file = flags.get("job_file")
    return load_job(values, file=Path(file) if file else None)


def command_line() -> str:
    """The command that this process was called by, for people to call it again.

    It is kept in the run directory, so a header's value goes, unless it only names a variable.
    """
    arguments = sys.argv[1:]
    for place, argument in enumerate(arguments):
        if argument == "--endpoints" and arguments[place + 1 :]:
            arguments[place + 1] = without_headers(arguments[place + 1])
        elif argument.startswith("--endpoints="):
            arguments[place] = "--endpoints=" + without_headers(argument.partition("=")[2])
        elif argument == "--header" and arguments[place + 1 :]:
            arguments[place + 1] = without_value(arguments[place + 1])
        elif argument.startswith("--header="):
            arguments[place] = "--header=" + without_value(argument.removeprefix("--header="))
    return shlex.join(["penstock", *arguments])


def without_headers(endpoints: str) -> str:
    """The JSON of --endpoints; all of it is masked where there are headers in it."""
    return "***" if "header" in endpoints else endpoints


def without_value(header: str) -> str:
    """A --header's NAME=VALUE, the value masked unless it is `env:VAR`."""
    name, equals, value = header.partition("=")
    return header if value.startswith("env:") else f"{name}{equals}***"
