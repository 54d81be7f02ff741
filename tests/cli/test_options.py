from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest

from cli.conftest import Penstock
from penstock.cli import COMMANDS
from penstock.cli.options import command_line, given, job_flags, job_of
from penstock.errors import JobError
from penstock.job import options


def test_every_option_is_shown_in_its_group_with_its_default(penstock: Penstock) -> None:
    words = " ".join(penstock("run", "--help").out.split())
    for one in options():
        if one.name != "inputs":
            assert f"{one.flag} " in words
            assert one.help in words
            assert f"{one.group}: " in words
    assert "[default: 300]" in words and "[default: 50%]" in words


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_into_80_columns(penstock: Penstock, command: str) -> None:
    lines = penstock(command, "--help").out.splitlines()
    assert max(map(len, lines)) <= 80


def test_flags_win_over_variables_and_those_over_the_job_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "job.toml"
    file.write_text('inputs = ["in.jsonl"]\noutput = "out.csv"\nrpm = 1\ntpm = 1\nrps = 1\n')
    monkeypatch.setenv("PENSTOCK_RPM", "2")
    monkeypatch.setenv("PENSTOCK_TPM", "2")
    job = job_of([], {"job_file": str(file), "rpm": "3", "rps": None, "param": ()})
    assert (job.rpm, job.tpm, job.rps) == (3, 2, 1)
    assert job.inputs == (str(tmp_path / "in.jsonl"),)
    assert job_of(["other.csv"], {"job_file": str(file)}).inputs == ("other.csv",)


def test_repeated_flags_make_one_table() -> None:
    values = given({"param": ("temperature=0.5", "stop=END", "a.b=null"), "header": ("X-A=b=c",)})
    assert values["param"] == {"temperature": 0.5, "stop": "END", "a.b": None}
    assert values["header"] == {"X-A": "b=c"}


def test_endpoints_are_one_list_in_one_flag() -> None:
    flag = next(one for one in job_flags() if one.name == "endpoints")
    command = click.Command("run", params=[flag])
    tables = '[{"rpm": 5}, {"base_url": "http://a/v1"}]'
    context = command.make_context("run", ["--endpoints", tables])
    assert given(context.params)["endpoints"] == [{"rpm": 5}, {"base_url": "http://a/v1"}]


def test_flags_that_were_not_given_are_no_values() -> None:
    assert given({"rpm": None, "param": (), "only": "x", "json": True}) == {"json": True}


def test_values_are_checked_also_where_no_job_is_made_of_them() -> None:
    with pytest.raises(JobError, match="--rpm 0"):
        given({"rpm": "0"})


def test_a_command_line_is_kept_without_the_values_of_its_headers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ["run", "a b.csv", "--header", "X-Key=sk-1", "--header=X-Key=sk-1", "--header"]
    monkeypatch.setattr(sys, "argv", ["/bin/penstock", *words])
    kept = command_line()
    assert kept == "penstock run 'a b.csv' --header 'X-Key=***' '--header=X-Key=***' --header"
    monkeypatch.setattr(sys, "argv", ["penstock", "run", "--header", "X-Key=env:KEY"])
    assert command_line() == "penstock run --header X-Key=env:KEY"


def test_ungrouped_flags_stand_together() -> None:
    from penstock.cli.options import GroupedCommand

    params: list[click.Parameter] = [click.Option(["--one"]), click.Option(["--two"])]
    command = GroupedCommand("x", params=params)
    assert command.get_help(click.Context(command)).count("Options:") == 1
