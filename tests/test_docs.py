"""The documents tell what there is: every command, every option, and command lines that work."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from penstock.cli import COMMANDS, cli

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
REFERENCE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
OUTPUT = {"text", "json", "python", "toml", "yaml", "promql"}  # blocks that hold no commands
ENDS = ("|", "&&", "||", ";", ">", ">>", "2>", "<", "&")


class Line(NamedTuple):
    """A command line in a document."""

    page: str
    text: str


def commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cli, **cli.context_settings)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command


def command_lines(page: str, text: str) -> Iterator[Line]:
    """The `penstock ...` lines in a page's blocks of code, each joined with its continuations."""
    for block in FENCE.finditer(text):
        if block[2] in OUTPUT:
            continue
        for line in block[3].replace("\\\n", " ").splitlines():
            words = line.strip().removeprefix("$ ")
            if re.match(r"(\S*/)?penstock\s", words):
                yield Line(page, words)


def arguments(line: str) -> list[str]:
    """The words of a command line, up to where its shell goes on to something else."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    words = list(lexer)[1:]
    end = next((place for place, word in enumerate(words) if word in ENDS), len(words))
    return words[:end]


LINES = [
    line
    for page in PAGES
    for line in command_lines(str(page.relative_to(ROOT)), page.read_text(encoding="utf-8"))
]


def test_every_option_has_a_help_text_that_is_a_sentence() -> None:
    for name, command in commands():
        for param in command.params:
            if isinstance(param, click.Option):
                assert param.help, f"{name} {param.opts}"
                text = param.help.partition(" [default: ")[0]
                assert text[0].isupper() or text[0].isdigit(), f"{name} {param.opts}: {text}"
                assert text.endswith("."), f"{name} {param.opts}: {text}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_in_the_reference(name: str) -> None:
    section = REFERENCE.partition(f"## penstock {name}\n")[2].partition("\n## ")[0]
    assert section, f"penstock {name} is not in docs/cli.md"
    command = dict(commands())[name]
    assert command.help is not None and command.help.splitlines()[0] in section
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            flag = max(param.opts, key=len)
            assert re.search(rf"{re.escape(flag)}[` ]", section), f"{flag} of penstock {name}"


def test_documents_have_command_lines_at_all() -> None:
    assert {line.page for line in LINES} >= {"docs/cli.md"}
    assert len(LINES) > len(COMMANDS)


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.page}: {line.text[:60]}")
def test_every_command_line_in_a_document_parses(line: Line) -> None:
    words = arguments(line.text)
    if "[OPTIONS]" in words or words[:1] in ([], ["--help"], ["--version"]):
        return  # a usage line
    command = dict(commands()).get(words[0])
    assert command is not None, f"there is no command {words[0]!r}"
    if "--help" in words:
        return
    whole = click.Context(cli, **cli.context_settings)  # else -h is no option from then on
    command.make_context(words[0], words[1:], parent=whole)


def test_command_lines_are_found_in_pages_as_people_write_them() -> None:
    page = (
        "```\n$ penstock run a \\\n    -o b\n```\n"
        "```bash\n.venv/bin/penstock status a.run\npip install penstock\n```\n"
        "```text\npenstock is output here\n```\n"
        "1. a list:\n   ```sh\n   penstock show a.run --row 3 --curl | sh\n   ```\n"
    )
    found = [line.text for line in command_lines("x", page)]
    assert [arguments(text) for text in found] == [
        ["run", "a", "-o", "b"],
        ["status", "a.run"],
        ["show", "a.run", "--row", "3", "--curl"],
    ]
