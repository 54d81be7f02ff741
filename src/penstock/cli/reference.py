"""The reference of the command line, `docs/cli.md`, made from the commands themselves.

`python -m penstock.cli.reference > docs/cli.md` writes it; a test fails where it is out of date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

import click

from penstock import errors
from penstock.cli import COMMANDS, cli
from penstock.cli.options import JobOption, group_of

FULL: Final = "run"  # the one command in which the job's options are told in full

HEAD: Final = """\
# The command line

<!-- Made from the commands by `make docs`: change those, not this page. -->

Every option of a job is a flag, an environment variable and a key of a job file (`--job FILE`,
TOML): `--max-concurrency 32`, `PENSTOCK_MAX_CONCURRENCY=32` and `max_concurrency = 32` say the
same. Flags win over variables, variables over the file; of an option that can be repeated the
winner replaces all. Paths in a job file are relative to the file. A variable holds several paths
with `:` between them, and several `KEY=VALUE` on lines of their own.

Standard output carries only what was asked for; all else goes to standard error. An option that is
not known is refused, with the nearest that is.

The same command resumes a run. Options marked *fixed* make the job what it is: a run whose command
is repeated with another value of one stops and names it (of `--prompt-file`, its content counts as
the prompt). All others may change from one call to the next, and so may the host in `--base-url`,
though not its path.
"""

EXIT_CODES: Final = (
    (errors.EXIT_COMPLETE, "complete; dead letters within `--allow-failed`"),
    (errors.EXIT_USAGE, "the command line, the job or its input can't work; nothing was sent"),
    (errors.EXIT_DEAD_LETTERS, "complete, with more dead letters than `--allow-failed`"),
    (errors.EXIT_PROVIDER, "the provider refuses for good: bad key, quota gone, unknown model"),
    (errors.EXIT_LIMIT, "stopped by a limit of yours: `--stop-failed`, `--budget-usd`"),
    (errors.EXIT_INTERNAL, "a fault of the disk or of Penstock; the run directory is in use"),
    (errors.EXIT_SIGINT, "interrupted by Ctrl+C"),
    (errors.EXIT_SIGTERM, "ended by SIGTERM"),
)

AFTERWARDS: Final = """\
After 4, 5, 6, 130 and 143 nothing is lost: the same command resumes. `penstock export --partial`
reads what is there already.
"""


def reference() -> str:
    """The whole page."""
    context = click.Context(cli, info_name="penstock", **cli.context_settings)
    parts = [HEAD, *table(("exit code", "meaning"), ((str(a), b) for a, b in EXIT_CODES))]
    parts += ["", AFTERWARDS]
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        parts += section(command, click.Context(command, info_name=name, parent=context))
    return "\n".join(parts).rstrip() + "\n"


def section(command: click.Command, context: click.Context) -> Iterator[str]:
    """The part of one command."""
    yield from (f"## {context.command_path}", "")
    usage = " ".join(command.collect_usage_pieces(context))
    yield from ("```", f"{context.command_path} {usage}", "```", "")
    yield from prose(command.help or "")
    options = [one for one in command.params if isinstance(one, click.Option)]
    told = [
        one for one in options if command.name == FULL or not isinstance(one, JobOption) or own(one)
    ]
    for group, members in groupby(told, key=group_of):
        if group != "Options":
            yield from (f"**{group}**", "")
        yield from rows(list(members))
        yield ""
    rest = [one for one in options if one not in told and not one.hidden]
    if rest:
        names = ", ".join(f"`{max(one.opts, key=len)}`" for one in rest)
        yield from (f"And these of `penstock {FULL}`: {names}.", "")


def own(option: JobOption) -> bool:
    """Whether an option of the job means something else here."""
    return option.help is not None and not option.help.startswith(option.one.help)


def prose(text: str) -> Iterator[str]:
    r"""A help text in Markdown; what stands behind `\b` is a block of code."""
    for paragraph in text.strip().split("\n\n"):
        if paragraph.startswith("\b"):
            code = [line.removeprefix("    ") for line in paragraph.splitlines()[1:]]
            yield from ("```", *code, "```", "")
        else:
            yield from (*paragraph.splitlines(), "")


def rows(options: list[click.Option]) -> Iterator[str]:
    """A table of options."""
    yield from table(
        ("option", "", ""), ((flag_words(one), help_words(one), fixed(one)) for one in options)
    )


def flag_words(option: click.Option) -> str:
    """An option's flags, and what its value looks like."""
    value = f" {option.metavar}" if option.metavar else ""
    return f"`{', '.join(sorted(option.opts, key=len))}{value}`"


def help_words(option: click.Option) -> str:
    """An option's help; whether it has to be given."""
    return (option.help or "") + (" Required." if option.required else "")


def fixed(option: click.Option) -> str:
    """Whether a change of it makes another job."""
    return "*fixed*" if isinstance(option, JobOption) and option.one.identity else ""


def table(head: tuple[str, ...], lines: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """A Markdown table; a column that is empty everywhere is left out."""
    listed = list(lines)
    kept = [place for place in range(len(head)) if any(line[place] for line in listed)]
    yield "| " + " | ".join(head[place] for place in kept) + " |"
    yield "| " + " | ".join("---" for _ in kept) + " |"
    for line in listed:
        yield "| " + " | ".join(line[place].replace("|", "\\|") for place in kept) + " |"


if __name__ == "__main__":
    sys.stdout.write(reference())
