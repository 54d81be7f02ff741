"""`tuned.json`: whole or refused, and what is not named stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.disk import Disk
from penstock.errors import LedgerError
from penstock.job import options
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.tuned import TUNABLE, Tuned, read_tuned, signature, write_tuned


def test_what_was_tuned_is_read_as_it_was_written(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    assert read_tuned(directory) is None
    tuned = Tuned(rpm=5000, max_concurrency=800, budget_usd=7.5, tuned_at="2026-03-01T12:00:00")
    write_tuned(Disk(), directory, tuned)
    assert read_tuned(directory) == tuned
    assert tuned.values() == {"rpm": 5000, "max_concurrency": 800, "budget_usd": 7.5}


def test_each_writing_can_be_told_from_the_one_before(tmp_path: Path) -> None:
    directory, seen = RunDirectory(tmp_path), set()
    assert signature(directory) is None
    for rpm in range(1, 6):
        write_tuned(Disk(), directory, Tuned(rpm=rpm))
        seen.add(signature(directory))
    assert len(seen) == 5


@pytest.mark.parametrize("change", [(b"5000", b"6000"), (b'"rpm"', b'"rpx"'), (b"}", b"")])
def test_what_was_changed_by_hand_or_accident_is_refused(
    tmp_path: Path, change: tuple[bytes, bytes]
) -> None:
    directory = RunDirectory(tmp_path)
    write_tuned(Disk(), directory, Tuned(rpm=5000))
    directory.tuned_path.write_bytes(directory.tuned_path.read_bytes().replace(*change))
    with pytest.raises(LedgerError, match=r"tuned\.json can't be read"):
        read_tuned(directory)


def test_what_can_be_tuned_is_an_option_by_the_same_name() -> None:
    assert set(TUNABLE) <= {one.name for one in options()}
