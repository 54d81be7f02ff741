from __future__ import annotations

from pathlib import Path

import click
import pytest

from penstock.cli.options import GroupedOption, JobOption
from penstock.cli.reference import fixed, flag_words, own, prose, reference, table
from penstock.job import options

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_what_the_commands_make_of_it() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "docs/cli.md is out of date: make docs"


def test_it_is_the_same_on_any_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    before = reference()
    monkeypatch.setenv("COLUMNS", "40")
    assert reference() == before


def test_options_that_make_the_job_are_marked() -> None:
    marked = {one.name for one in options() if fixed(JobOption(one))}
    assert marked == {one.name for one in options() if one.identity}
    assert {"model", "prompt", "output"} <= marked and not {"rpm", "inputs"} & marked


def test_an_option_is_written_with_its_flags_and_its_value() -> None:
    by_name = {one.name: JobOption(one) for one in options()}
    assert flag_words(by_name["output"]) == "`-o, --output PATH`"
    assert flag_words(by_name["json"]) == "`--json`"


def test_an_option_that_means_something_else_here_is_told_in_full() -> None:
    option = JobOption(next(one for one in options() if one.name == "json"))
    assert not own(option)
    option.help = "Print the request."
    assert own(option)


def test_a_table_leaves_out_columns_without_content_and_escapes_bars() -> None:
    assert list(table(("a", "b"), [("x|y", ""), ("z", "")])) == [
        "| a |",
        "| --- |",
        "| x\\|y |",
        "| z |",
    ]


def test_help_becomes_paragraphs_and_blocks_of_code() -> None:
    assert list(prose("One.\n\n\b\n    two\n      three\n")) == [
        "One.",
        "",
        "```",
        "two",
        "  three",
        "```",
        "",
    ]


def test_an_option_of_one_command_only_is_not_the_jobs() -> None:
    assert fixed(GroupedOption(["--row"])) == ""
    assert isinstance(GroupedOption(["--row"]), click.Option)
