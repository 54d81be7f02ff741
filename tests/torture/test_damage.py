"""Bits that flip, files that are cut: read right or refused, never wrong, never less unsaid."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from penstock.disk import Disk
from penstock.sources import spool
from torture.conftest import Figures
from torture.faulty_disk import FaultySystem
from torture.life import Life

SCRIPT: Final = Path(__file__).with_name("damage.py")
SECONDS: Final = 100.0


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run half done, that has been redone in part: every kind of file is there."""
    monkeypatch.setattr(spool, "BLOCK_BYTES", 700)
    monkeypatch.setattr(Disk, "system", FaultySystem())
    folder = tmp_path / "template"
    folder.mkdir()
    life = Life(folder)
    life.first_epoch()
    life.complete()
    life.redo()
    known = {
        "bought": [[*key, one] for key, said in life.bought.items() for one in said],
        "told": [list(key) for key in life.promises.told],
    }
    (folder / "known.json").write_text(json.dumps(known))
    return folder


def damage(
    kind: str, template: Path, first: int, count: int, seconds: float = SECONDS
) -> dict[str, int]:
    """Damage `template` in a process of its own; what it did."""
    scratch = template.parent / f"{kind}-{first}"
    scratch.mkdir()
    command = [sys.executable, SCRIPT, kind, template, scratch, str(first), str(count)]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent.parent)}
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    shutil.rmtree(scratch)
    assert ended.returncode == 0, f"{ended.returncode}: {ended.stderr[-3000:]}"
    return dict(json.loads(ended.stdout))


@pytest.mark.seeds(1, 12)
def test_flipped_bits_are_read_right_or_refused(
    template: Path, seed: int, figures: Figures
) -> None:
    figures(flips=damage("flips", template, seed * 1000, 1000)["done"])


@pytest.mark.seeds(1, 15)
def test_with_flipped_bits_the_command_ends_right_or_refuses(
    template: Path, seed: int, figures: Figures
) -> None:
    figures(flips=damage("commands", template, seed * 20, 20)["done"])


@pytest.mark.timeout(700)
def test_every_prefix_is_read_right_or_refused(
    template: Path, long: bool, figures: Figures
) -> None:
    stride = 1 if long else 61
    figures(prefixes=damage("prefixes", template, stride // 2, stride, 600.0)["done"])
