from __future__ import annotations

import fcntl
from pathlib import Path

from cli.conftest import Penstock
from ledger.ledger_run import Run
from penstock.errors import EXIT_USAGE
from penstock.ledger.tuned import read_tuned


def test_what_is_tuned_is_kept_shown_and_added_to(penstock: Penstock, stopped: Run) -> None:
    path = stopped.run_dir.path
    assert "nothing was tuned" in penstock("tune", path).out
    found = penstock("tune", path, "--rpm", "5000", "--max-concurrency", "800")
    assert found.code == 0
    assert "tuned: --rpm 5,000, --max-concurrency 800" in found.out
    assert "No run is under way" in found.out
    penstock("tune", path, "--rpm", "70")
    assert "tuned: --rpm 70, --max-concurrency 800" in penstock("tune", path).out
    tuned = read_tuned(stopped.run_dir)
    assert tuned is not None and tuned.values() == {"rpm": 70, "max_concurrency": 800}


def test_a_run_under_way_is_said_to_take_it(penstock: Penstock, stopped: Run) -> None:
    stopped.run_dir.lock_path.touch()
    with stopped.run_dir.lock_path.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = penstock("tune", stopped.run_dir.path, "--tpm", "9000")
    assert "takes it within a second" in found.out


def test_bad_values_other_options_and_other_places_are_refused(
    penstock: Penstock, stopped: Run, tmp_path: Path
) -> None:
    path = stopped.run_dir.path
    assert penstock("tune", path, "--rpm", "0").code == EXIT_USAGE
    assert penstock("tune", path, "--model", "other").code == EXIT_USAGE
    assert penstock("tune", tmp_path / "nowhere", "--rpm", "1").code == EXIT_USAGE
    assert read_tuned(stopped.run_dir) is None
