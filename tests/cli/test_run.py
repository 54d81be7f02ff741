"""`penstock run` from end to end, on a simulated provider: what it prints, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cli.conftest import Penstock
from ledger.ledger_run import Run, json_lines, read_lines
from penstock.simulator import Settings, SimulatorProcess, spawn

# With the simulator's seed, some of ten rows and not all are always refused.
REJECT = 0.3


@pytest.fixture(scope="module")
def provider() -> Iterator[SimulatorProcess]:
    """A provider that refuses some records for good, and answers all others at once."""
    with spawn(Settings(reject=REJECT)) as simulator:
        yield simulator


@pytest.fixture
def job(provider: SimulatorProcess, ten_rows: Path, tmp_path: Path) -> list[str]:
    """The arguments of a run of ten rows."""
    provider.reset()
    return [
        "run",
        str(ten_rows),
        *("-o", str(tmp_path / "out.jsonl")),
        *("--base-url", provider.base_url, "--model", "m", "--prompt", "Say: {{ text }}"),
        *("--workers", "1", "--metrics-port", "off"),
    ]


def asked(provider: SimulatorProcess) -> int:
    return int(provider.stats()["received"])


def process(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if "PENSTOCK" not in name}
    return subprocess.run(
        [sys.executable, "-m", "penstock.cli", *arguments],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_run_with_dead_letters_is_exit_3_and_asks_nothing_again(
    job: list[str], provider: SimulatorProcess, tmp_path: Path
) -> None:
    first = process(*job, "--json", "--progress", "json", cwd=tmp_path)
    assert first.returncode == 3, first.stderr
    assert first.stdout.count("\n") == 1
    report = msgspec.json.decode(first.stdout)
    assert report["rows_in"] == 10 and report["pending"] == 0
    assert 0 < report["failed"] < 10 and report["succeeded"] == 10 - report["failed"]
    assert all(msgspec.json.decode(line)["event"] for line in first.stderr.splitlines())
    assert [row["row"] for row in read_lines(tmp_path / "out.jsonl")] == list(range(10))
    assert asked(provider) >= 10

    provider.reset()
    again = process(*job, "--allow-failed", "100%", "--progress", "off", cwd=tmp_path)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert asked(provider) == 0

    status = process("status", "out.jsonl.run", cwd=tmp_path)
    assert status.returncode == 0 and "complete, with dead letters" in status.stdout
    assert f"--only {next(iter(report['failed_by_class']))}" in status.stdout


def test_a_run_without_dead_letters_is_exit_0_and_is_told_in_lines(
    penstock: Penstock, job: list[str], tmp_path: Path
) -> None:
    found = penstock(*job, "--simulate", "--limit", 2, "--progress", "lines")
    assert (found.code, found.out) == (0, "")
    assert "2 = 2 succeeded + 0 failed" in found.err and "Complete (exit 0)" in found.err
    assert len(read_lines(tmp_path / "out.jsonl")) == 2


def test_another_job_in_the_same_place_is_refused_with_the_difference(
    penstock: Penstock, job: list[str], provider: SimulatorProcess, complete: Run
) -> None:
    place = ["--run-dir", str(complete.run_dir.path)]
    found = penstock(*job, *place, "--prompt", "Shout: {{ text }}", "--system", "Loud!")
    assert (found.code, found.out) == (2, "")
    assert 'prompt: "Say: {{ text }}" became "Shout: {{ text }}"' in found.err
    assert 'system: null became "Loud!"' in found.err and "--fresh" in found.err
    assert asked(provider) == 0


def test_fresh_without_a_terminal_wants_yes(
    penstock: Penstock, job: list[str], provider: SimulatorProcess, complete: Run
) -> None:
    place = ["--run-dir", str(complete.run_dir.path), "--fresh"]
    found = penstock(*job, *place)
    assert (found.code, found.out) == (2, "") and "Add --yes." in found.err
    assert asked(provider) == 0 and not complete.run_dir.path.with_name("out.run.1").exists()

    found = penstock(*job, *place, "--yes", "--progress", "off", "--limit", 3)
    assert found.code in (0, 3), found.err
    assert len(read_lines(complete.path / "out.jsonl")) == 3
    aside = complete.run_dir.path.with_name("out.run.1")
    assert list((aside / "segments").iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--prompt", "{{ txt }}"], "there is no column 'txt'\nDid you mean 'text'?"),
        (["-o", "out.xlsx"], "the format can't be told from its suffix"),
        (["--keep", "nothing"], "the input has no column 'nothing'"),
        (["--stop-failed", "200%"], "--stop-failed '200%': expected a share such as 5%"),
        (["--job", "none.toml"], "job file none.toml: No such file"),
    ],
)
def test_a_job_that_can_not_work_is_exit_2_and_leaves_nothing_behind(
    penstock: Penstock,
    job: list[str],
    provider: SimulatorProcess,
    tmp_path: Path,
    arguments: list[str],
    says: str,
) -> None:
    found = penstock(*job, *arguments)
    assert (found.code, found.out) == (2, "") and says in found.err
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]
    assert asked(provider) == 0


def test_a_job_file_with_an_unknown_key_names_the_nearest(
    penstock: Penstock, tmp_path: Path
) -> None:
    file = tmp_path / "job.toml"
    file.write_text('inputs = "in.jsonl"\npromt = "x"\n')
    found = penstock("run", "--job", file)
    assert (found.code, found.out) == (2, "")
    assert found.err == (
        f"error: job file {file}: there is no option 'promt'\nDid you mean 'prompt'?\n"
    )


def test_a_header_given_as_a_value_is_not_kept(
    penstock: Penstock, job: list[str], tmp_path: Path
) -> None:
    row = json_lines(tmp_path / "in.jsonl", [{"text": "a"}])
    rest = ("--header", "X-Team=hush-hush", "--progress", "off", "--allow-failed", "100%")
    assert penstock(*job, *rest).code == 0 and row.exists()
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > 5
    assert not [path for path in kept if b"hush-hush" in path.read_bytes()]
