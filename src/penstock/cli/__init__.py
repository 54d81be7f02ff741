"""The command line: one file for each command, loaded when it is called."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import click

from penstock.errors import EXIT_INTERNAL, EXIT_SIGINT, EXIT_USAGE, PenstockError

COMMANDS: Final = {
    "run": "Take records through an LLM API; the same command resumes.",
    "status": "How far a run is, also while it goes on.",
    "show": "All that is known of one row.",
    "render": "The exact request of one row, without sending it.",
    "export": "Write a run's results to a file.",
    "verify": "Check every byte of a run's results.",
    "redo": "Ask again for rows that ended as dead letters.",
    "simulate": "Serve a simulated provider on this machine.",
}


class Commands(click.Group):
    """The group of all commands; a command's module is imported only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"penstock.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        import difflib

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="penstock", message="penstock %(version)s")
def cli() -> None:
    """Take millions of records through LLM HTTP APIs: every limit kept, nothing lost."""


def main() -> None:
    """The entry point of the `penstock` command."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = EXIT_SIGINT
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
    except PenstockError as error:
        show_error(error)
        code = error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        code = EXIT_INTERNAL
    sys.exit(code if isinstance(code, int) else 0)


def show_error(error: PenstockError) -> None:
    """What happened and what to do next, on standard error."""
    click.echo(click.style("error: ", fg="red", bold=True) + error.what, err=True)
    if error.next_step:
        click.echo(error.next_step, err=True)
