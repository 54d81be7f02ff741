"""A disk that is full: said, nothing lost, and the run goes on once there is room."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Simulate
from integration.place import Place


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


def test_a_full_disk_stops_the_run_and_more_room_lets_it_go_on(
    small_disk: Path, tmp_path: Path, simulate: Simulate
) -> None:
    rows = [{"id": str(n), "text": f"text {n}, {os.urandom(2048).hex()}"} for n in range(800)]
    run, provider = Place(tmp_path, rows), simulate(ttft_seconds=0.02)
    run.run_dir = small_disk / "run"
    options = {"run_dir": run.run_dir, "max_concurrency": 16}
    ended = run.run(provider.base_url, **options)
    assert ended.code == 6, ended.stderr
    assert "space" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert 0 < ended.summary["succeeded"] < 800
    assert mounted("-o", "remount,size=64m", small_disk)
    ended = run.run(provider.base_url, **options)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert run.penstock("verify", run.run_dir).code == 0
