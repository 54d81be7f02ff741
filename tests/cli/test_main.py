from __future__ import annotations

import shlex
import subprocess
import sys

import click
import pytest

import penstock.cli
from cli.conftest import Penstock
from penstock.cli import COMMANDS, cli
from penstock.errors import EXIT_INTERNAL, EXIT_PROVIDER, EXIT_SIGINT, EXIT_USAGE, ProviderStopped

HEAVY = ("aiohttp", "jinja2", "pyarrow", "rich", "uvloop")


def failing_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> int:
        raise error

    monkeypatch.setattr(penstock.cli.cli, "main", fail)


def test_penstock_alone_shows_its_help_and_is_a_usage_error(penstock: Penstock) -> None:
    found = penstock()
    assert found.code == EXIT_USAGE and found.out == ""
    assert all(name in found.err for name in COMMANDS)


def test_help_and_version_go_to_standard_output(penstock: Penstock) -> None:
    assert penstock("--help").out.startswith("Usage: penstock")
    assert penstock("--version").out.startswith("penstock 0")
    assert penstock("run", "-h").code == 0


def test_every_command_has_a_module_and_a_help_text() -> None:
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli, **cli.context_settings), name)
        assert command is not None and command.name == name
        assert command.help and command.callback


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rnu"], "error: there is no command 'rnu'\nDid you mean 'run'? There are: run, status"),
        (["xyzzy"], "error: there is no command 'xyzzy'\nThere are: run, status"),
        (["run", "--rpn", "3"], "error: there is no option --rpn\nDid you mean --rp"),
        (["run", "--xyzzy"], "error: there is no option --xyzzy\nSee `penstock run --help`."),
        (["--xyzzy"], "error: there is no option --xyzzy\nSee `penstock --help`."),
        (["run", "--rpm"], "error: option '--rpm' requires an argument\n"),
        (["status"], "error: missing argument 'RUN_DIR'\nSee `penstock status --help`."),
        (["run", "a", "--rpm", "x"], "error: --rpm 'x': expected a whole number of at least 1\n"),
        (["run", "a", "--rpm", "0"], "error: --rpm 0: expected a whole number"),
        (["run", "a", "--response", "x"], "--response 'x': expected failed, always or never"),
        (["run", "a", "--param", "x"], "error: --param 'x': expected KEY=VALUE"),
        (["show", "a", "--row", "-1"], "error: invalid value for '--row': -1 is not in the range"),
    ],
)
def test_a_usage_error_says_what_and_what_next_on_standard_error_alone(
    penstock: Penstock, arguments: list[str], says: str
) -> None:
    found = penstock(*arguments)
    assert (found.code, found.out) == (EXIT_USAGE, "")
    assert says in found.err


def test_an_error_shows_its_next_step_and_ends_with_its_exit_code(
    penstock: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_with(ProviderStopped("the key is refused", "Give another."), monkeypatch)
    found = penstock("run")
    assert found == (EXIT_PROVIDER, "", "error: the key is refused\nGive another.\n")


def test_a_fault_of_ours_shows_its_traceback_and_is_exit_6(
    penstock: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_with(KeyError("unexpected"), monkeypatch)
    found = penstock("run")
    assert (found.code, found.out) == (EXIT_INTERNAL, "")
    assert "KeyError: 'unexpected'" in found.err and "fault in Penstock" in found.err


def test_ctrl_c_before_a_run_has_begun_is_exit_130(
    penstock: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_with(click.exceptions.Abort(), monkeypatch)
    assert penstock("run").code == EXIT_SIGINT


def test_streams_that_are_closed_never_become_files_of_ours() -> None:
    script = (
        "import os, sys; from penstock.cli.streams import open_closed_streams\n"
        "open_closed_streams()\n"
        "assert sys.stdin.read() == '' and sys.stderr.write('lost') == 4\n"
        "print(os.open(os.devnull, os.O_RDONLY) > 2, [os.get_inheritable(n) for n in (0, 1, 2)])"
    )
    command = f"exec {shlex.quote(sys.executable)} -c {shlex.quote(script)} <&- 2>&-"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False)
    assert done.stdout == b"True [True, True, True]\n"


def test_help_and_usage_errors_load_nothing_heavy() -> None:
    script = (
        "import sys; from penstock.cli import call\n"
        "for words in ([], ['--help'], ['run', '--help'], ['status', '--help'], ['run', '--x']):\n"
        "    call(words)\n"
        f"sys.exit(' '.join(name for name in {HEAVY} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-100:]
