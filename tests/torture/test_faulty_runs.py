"""Whole runs in which a call to the disk fails, in supervisor or worker: said, and resumed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import pytest

from conftest import Simulate
from integration.place import Place, text_rows
from torture.conftest import Figures
from torture.faulty_disk import KINDS

ROWS: Final = 300
TESTS: Final = Path(__file__).parent.parent

# Executed in each process of the run as it starts.
PATCH: Final = """
import sys
if {is_worker} == ("penstock.engine.worker" in sys.orig_argv):
    sys.path.append({tests!r})
    from penstock.disk import Disk
    from torture.faulty_disk import FaultySystem
    Disk.system = FaultySystem({at}, {kind!r}, reads={reads})
"""


@pytest.mark.seeds(3, 30)
def test_a_run_whose_disk_fails_says_so_and_resumes(
    tmp_path: Path,
    simulate: Simulate,
    seed: int,
    figures: Figures,
) -> None:
    chance = random.Random(seed)
    is_worker = seed % 3 == 0
    reads = seed % 3 == 2
    at = chance.randrange(8 if is_worker else 25 if reads else 80)
    run, provider = Place(tmp_path, text_rows(ROWS)), simulate(ttft_seconds=0.005)
    options = {"max_concurrency": 16, "workers": 2 if is_worker else 1}
    run.patched(
        PATCH.format(
            is_worker=is_worker, tests=str(TESTS), at=at, kind=chance.choice(KINDS), reads=reads
        )
    )
    ended = run.run(provider.base_url, **options)
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.code in (0, 6), ended.stderr
    if ended.code == 6:
        assert "can't" in ended.stderr
    run.patched("")
    ended = run.run(provider.base_url, **options)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert run.penstock("verify", run.run_dir).code == 0
    figures(faults=1)
