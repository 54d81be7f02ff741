"""A real disk that is full, or read-only, at the worst places: said, and the command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Simulate
from integration.place import Ended, Place
from torture.conftest import Figures

ROWS = 400


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not sys.platform.startswith("linux") or not mounted("-t", "tmpfs", "-o", "size=1m", folder):
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mounted(*arguments: str | Path) -> bool:
    command = ["mount", *map(str, arguments[:-1]), "tmpfs", str(arguments[-1])]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def large_rows() -> list[dict[str, str]]:
    """Rows that take several times what the small disk has."""
    return [{"id": str(n), "text": f"text {n}, {os.urandom(2048).hex()}"} for n in range(ROWS)]


def check_said(ended: Ended, words: str = "no space left") -> None:
    assert ended.code == 6, ended.stderr
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_full_in_mid_run(
    small_disk: Path, tmp_path: Path, simulate: Simulate, figures: Figures
) -> None:
    # So slow that some rows are committed before the disk is full.
    run, provider = Place(tmp_path, large_rows()), simulate(ttft_seconds=0.2)
    run.run_dir = small_disk / "run"
    options = {"run_dir": run.run_dir, "max_concurrency": 16}
    ended = run.run(provider.base_url, **options)
    check_said(ended)
    assert 0 < ended.summary["succeeded"] < ROWS
    assert mounted("-o", "remount,size=64m", small_disk)
    assert run.run(provider.base_url, **options).code == 0
    run.check_answers()
    assert run.penstock("verify", run.run_dir).code == 0
    figures(full_disks=1)


def test_full_at_the_export_asks_for_nothing_again(
    small_disk: Path, tmp_path: Path, simulate: Simulate, figures: Figures
) -> None:
    run, provider = Place(tmp_path, large_rows()), simulate(ttft_seconds=0.01)
    run.output = small_disk / "out.jsonl"
    options = {"run_dir": run.run_dir, "max_concurrency": 16}
    check_said(run.run(provider.base_url, **options))
    assert list(small_disk.iterdir()) == []
    assert mounted("-o", "remount,size=64m", small_disk)
    assert run.run(provider.base_url, **options).code == 0
    run.check_answers()
    assert provider.stats()["asked_again"] == 0
    figures(full_disks=1)


def test_full_while_the_input_is_spooled(
    small_disk: Path, tmp_path: Path, simulate: Simulate, figures: Figures
) -> None:
    run, provider = Place(tmp_path, large_rows()), simulate(ttft_seconds=0.01)
    run.run_dir = small_disk / "run"
    options = {"run_dir": run.run_dir, "max_concurrency": 16, "inputs": ["-"]}
    command = run.command(provider.base_url, **options)
    check_said(run.call(command, stdin=run.input.read_bytes()))
    assert mounted("-o", "remount,size=64m", small_disk)
    ended = run.call(command, stdin=run.input.read_bytes())
    assert ended.code == 0, ended.stderr
    run.check_answers()
    figures(full_disks=1)


def test_full_at_the_checkpoint(
    small_disk: Path, tmp_path: Path, simulate: Simulate, figures: Figures
) -> None:
    """No file more can be made, while those that are there still grow."""
    rows = [{"id": str(n), "text": f"text {n}"} for n in range(ROWS)]
    run, provider = Place(tmp_path, rows), simulate(ttft_seconds=0.1)
    run.run_dir = small_disk / "run"
    options = {"run_dir": run.run_dir, "max_concurrency": 16}
    assert mounted("-o", "remount,size=64m,nr_inodes=40", small_disk)
    with run.start(provider.base_url, **options) as live:
        live.until(lambda: list((run.run_dir / "segments").glob("*.arrow")))
        filled = fill(small_disk)
        ended = live.wait()
    check_said(ended)
    assert "checkpoint" in ended.stderr
    for path in filled:
        path.unlink()
    ended = run.run(provider.base_url, **options)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert provider.stats()["asked_again"] <= 16 + 256
    figures(full_disks=1)


def test_read_only_between_two_runs(
    small_disk: Path, tmp_path: Path, simulate: Simulate, figures: Figures
) -> None:
    """Not under a run: Linux makes nothing read-only while a file of it is open to be written."""
    rows = [{"id": str(n), "text": f"text {n}"} for n in range(ROWS)]
    run, provider = Place(tmp_path, rows), simulate(ttft_seconds=0.1)
    run.run_dir = small_disk / "run"
    options = {"run_dir": run.run_dir, "max_concurrency": 16}
    with run.start(provider.base_url, **options) as live:
        live.until(lambda: provider.stats()["answered_bodies"] > ROWS // 4)
        live.signal(signal.SIGTERM)
        assert live.wait().code == 143
    assert mounted("-o", "remount,ro", small_disk)
    check_said(run.run(provider.base_url, **options), "Read-only file system")
    assert mounted("-o", "remount,rw", small_disk)
    assert run.run(provider.base_url, **options).code == 0
    run.check_answers()
    assert provider.stats()["asked_again"] == 0
    figures(full_disks=1)


def fill(folder: Path) -> list[Path]:
    """Make files until none more can be made."""
    made: list[Path] = []
    while True:
        path = folder / f"filler-{len(made)}"
        try:
            path.touch(exist_ok=False)
        except OSError:
            return made
        made.append(path)
