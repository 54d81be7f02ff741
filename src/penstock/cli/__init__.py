"""The command line: one file for each command, loaded when it is called."""

from __future__ import annotations

import difflib
import importlib
import sys
import traceback
from collections.abc import Sequence
from typing import Final

import click

from penstock.cli.streams import make_robust
from penstock.errors import (
    EXIT_COMPLETE,
    EXIT_DEAD_LETTERS,
    EXIT_INTERNAL,
    EXIT_SIGINT,
    EXIT_USAGE,
    PenstockError,
    UsageError,
)

FINISHED: Final = (EXIT_COMPLETE, EXIT_DEAD_LETTERS)

COMMANDS: Final = {
    "run": "Take records through an LLM API; the same command resumes.",
    "status": "How far a run is, also while it goes on.",
    "show": "All that is known of one row.",
    "render": "The exact request of one row, without sending it.",
    "plan": "What a job will take, before a cent is spent.",
    "try": "Ask for a few records, and show prompt beside answer.",
    "why": "What limited a run, and what raising it would give.",
    "diff": "Two runs over the same rows: agreement, cost, tokens, latency.",
    "export": "Write a run's results to a file.",
    "verify": "Check every byte of a run's results.",
    "tune": "Change the limits of a run, also while it goes on.",
    "redo": "Ask again for dead letters, and for answers that are no good.",
    "simulate": "Serve a simulated provider on this machine.",
}

# Of the commands whose names no module can have, the modules.
MODULES: Final = {"try": "trial"}


class Commands(click.Group):
    """The group of all commands; a command's module is imported only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"penstock.cli.{MODULES.get(cmd_name, cmd_name)}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise UsageError(
                f"there is no command {args[0]!r}", f"{hint}There are: {', '.join(COMMANDS)}."
            )
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="penstock", message="penstock %(version)s")
def cli() -> None:
    """Take millions of records through LLM HTTP APIs: every limit kept, nothing lost."""


def main() -> None:
    """The entry point of the `penstock` command."""
    output = make_robust()
    code = call(sys.argv[1:])
    sys.stdout.flush()
    if output.error is not None:
        words = output.error.strerror or str(output.error)
        show_error(PenstockError(f"standard output can't be written: {words}", "Ask again."))
        code = code if code not in FINISHED else EXIT_INTERNAL
    sys.exit(code)


def call(arguments: Sequence[str]) -> int:
    """Carry out a command line; returns the exit code, and shows what went wrong."""
    try:
        code = cli.main(list(arguments), prog_name="penstock", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        return EXIT_SIGINT
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EXIT_USAGE
    except click.ClickException as error:
        show_error(usage_error(error))
        return EXIT_USAGE
    except PenstockError as error:
        show_error(error)
        return error.exit_code
    except MemoryError:
        show_error(PenstockError("there is no memory left", "Free some, or raise the limit on it."))
        return EXIT_INTERNAL
    except Exception:  # whatever it is: shown whole, as it is ours to mend
        traceback.print_exc()
        show_error(PenstockError("this is a fault in Penstock", "Please report what is above."))
        return EXIT_INTERNAL
    return code if isinstance(code, int) else 0


def usage_error(error: click.ClickException) -> UsageError:
    """What click found wrong with the command line, as an error of ours."""
    ctx = getattr(error, "ctx", None)
    hint = f"See `{ctx.command_path if ctx else 'penstock'} --help`."
    if isinstance(error, click.NoSuchOption):
        names = [name.lstrip("-") for name in error.possibilities or ()]
        near = difflib.get_close_matches(error.option_name.lstrip("-"), names, n=2)
        meant = f"Did you mean {' or '.join(f'--{name}' for name in near)}? " if near else ""
        return UsageError(f"there is no option {error.option_name}", meant + hint)
    words = error.format_message().rstrip(".")
    return UsageError(words[:1].lower() + words[1:], hint)


def show_error(error: PenstockError) -> None:
    """What happened and what to do next, on standard error."""
    click.echo(click.style("error: ", fg="red", bold=True) + error.what, err=True)
    if error.next_step:
        click.echo(error.next_step, err=True)
