"""Run directories that can't be, or are taken away while the run goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Simulate
from integration.conftest import MakePlace
from integration.place import Place
from integration.shell import after

NOWHERE = "http://127.0.0.1:9/v1"
STEADY = {"ttft_seconds": 0.03, "ttft_spread": 0.0}

PLACES = {
    "a file": "in.jsonl",
    "below a file": "in.jsonl/run",
    "a name too long": "x" * 300,
    "a path too long": "/".join(["y" * 200] * 25),
}


@pytest.mark.parametrize("where", PLACES.values(), ids=PLACES)
def test_a_path_that_can_be_no_run_directory_is_refused(place: MakePlace, where: str) -> None:
    run = place(5)
    ended = run.run(NOWHERE, run_dir=run.folder / where)
    assert ended.code == 2, ended.stderr
    assert where[:150] in ended.stderr and "--run-dir" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert [one.name for one in run.folder.iterdir()] == ["in.jsonl"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")
def test_a_file_system_that_takes_no_directory_is_refused(place: MakePlace) -> None:
    ended = place(5).run(NOWHERE, run_dir="/proc/run")
    assert ended.code == 2, ended.stderr
    assert "/proc/run" in ended.stderr and "--run-dir" in ended.stderr


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own; it can be mounted anew with other options."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not sys.platform.startswith("linux") or not mounted("nr_inodes=40", folder):
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mounted(options: str, folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_read_only_file_system_is_refused_and_a_run_on_it_resumes_when_it_is_not(
    mount: Path, tmp_path: Path, simulate: Simulate
) -> None:
    run, provider = Place(tmp_path, [{"text": f"text {n}"} for n in range(40)]), simulate()
    assert mounted("remount,ro", mount)
    ended = run.run(provider.base_url, run_dir=mount / "run")
    assert ended.code == 2, ended.stderr
    assert "Read-only" in ended.stderr and "--run-dir" in ended.stderr
    assert mounted("remount,rw", mount)
    assert run.run(provider.base_url, run_dir=mount / "run", limit=20).code == 0
    assert mounted("remount,ro", mount)
    ended = run.run(provider.base_url, run_dir=mount / "run")
    assert ended.code == 6, ended.stderr
    assert "Read-only" in ended.stderr and "Traceback" not in ended.stderr
    assert mounted("remount,rw", mount)
    assert run.run(provider.base_url, run_dir=mount / "run").code == 0
    run.check_answers()


def test_a_full_table_of_inodes_is_a_full_disk(
    mount: Path, tmp_path: Path, simulate: Simulate
) -> None:
    run, provider = Place(tmp_path, [{"text": f"text {n}"} for n in range(40)]), simulate()
    fillers = fill(mount, leave=9)  # enough to begin with, too few to go on
    ended = run.run(provider.base_url, run_dir=mount / "run")
    assert ended.code == 6, ended.stderr
    assert "space" in ended.stderr and "Traceback" not in ended.stderr
    for filler in fillers:
        filler.unlink()
    assert run.run(provider.base_url, run_dir=mount / "run").code == 0
    run.check_answers()


def fill(folder: Path, leave: int) -> list[Path]:
    """Files that take all inodes but some."""
    fillers = [folder / f"filler{n}" for n in range(os.statvfs(folder).f_ffree - leave)]
    for filler in fillers:
        filler.touch()
    return fillers


def test_a_run_directory_removed_during_the_run_stops_it_with_words(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(3000), simulate(**STEADY)
    with run.start(provider.base_url, max_concurrency=16, workers=2) as live:
        live.until_running(2)
        live.until(lambda: provider.stats()["answered_bodies"] > 200)
        shutil.rmtree(run.run_dir)
        ended = live.wait()
    assert ended.code == 6, ended.stderr
    assert str(run.run_dir) in ended.stderr and "Traceback" not in ended.stderr
    assert not run.output.exists()
    assert not run.run_dir.exists()


def test_a_run_directory_moved_during_the_run_stops_it_and_the_moved_one_resumes(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(3000), simulate(**STEADY)
    moved = run.folder / "moved"
    with run.start(provider.base_url, max_concurrency=16, workers=2) as live:
        live.until_running(2)
        live.until(lambda: provider.stats()["answered_bodies"] > 200)
        run.run_dir.rename(moved)
        ended = live.wait()
    assert ended.code == 6, ended.stderr
    assert not run.output.exists()
    ended = run.run(provider.base_url, max_concurrency=64, run_dir=moved)
    assert ended.code == 0, ended.stderr
    assert ended.summary["resumed"] > 0
    run.check_answers()


def test_a_mask_that_takes_every_right_is_told_or_harmless(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(20), simulate()
    ended = run.call(after("umask 777", run.command(provider.base_url)))
    assert "Traceback" not in ended.stderr
    if ended.code == 0:  # root may do everything
        run.check_answers()
    else:
        assert ended.code in (2, 6)
        assert "Permission denied" in ended.stderr
