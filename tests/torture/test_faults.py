"""Each call to the disk fails once: said in words, and nothing that was promised is lost by it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from penstock.disk import Disk
from penstock.errors import LedgerError
from penstock.sources import spool
from penstock.system import System
from torture.conftest import Figures
from torture.faulty_disk import KINDS, FaultySystem
from torture.life import Life

# Enough for every call that changes the disk, in each way in which it may fail, and for one in
# sixteen of those that read.
CHANGES: Final = 720
READS: Final = 150
STRIDE: Final = 16
PRIME: Final = 7919  # few seeds are to be spread over the whole life


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the spool has some."""
    monkeypatch.setattr(spool, "BLOCK_BYTES", 700)


@contextmanager
def system(twin: System) -> Iterator[None]:
    """Have every call pass `twin`."""
    before, Disk.system = Disk.system, twin
    try:
        yield
    finally:
        Disk.system = before


@cache
def calls(*, reads: bool) -> int:
    """How many calls a life makes in which nothing fails."""
    twin = FaultySystem(reads=reads)
    with tempfile.TemporaryDirectory() as folder, system(twin):
        Life(Path(folder)).live()
    return len(twin.calls)


@pytest.mark.seeds(8, CHANGES * len(KINDS))
def test_a_change_that_fails_loses_nothing(tmp_path: Path, seed: int, figures: Figures) -> None:
    total = calls(reads=False)
    assert total <= CHANGES, "not every call is failed by the long form"
    number, kind = fault(seed, total)
    survive(tmp_path, FaultySystem(number, kind), figures)


def test_each_call_fails_in_every_way() -> None:
    total = calls(reads=False)
    faults = {fault(seed, total) for seed in range(total * len(KINDS))}
    assert faults == {(number, kind) for number in range(total) for kind in KINDS}


def fault(seed: int, total: int) -> tuple[int, str]:
    """The call that fails, and how: once over all calls in one way, then in the next."""
    turn, place = divmod(seed, total)
    return place * PRIME % total, KINDS[(place + turn) % len(KINDS)]


@pytest.mark.seeds(4, READS)
def test_a_read_that_fails_is_no_garbage(tmp_path: Path, seed: int, figures: Figures) -> None:
    total = calls(reads=True)
    assert total <= READS * STRIDE, "not every sixteenth call is failed by the long form"
    number = (seed * PRIME % READS * STRIDE + seed % STRIDE) % total
    survive(tmp_path, FaultySystem(number, reads=True), figures)


def survive(folder: Path, twin: FaultySystem, figures: Figures) -> None:
    """Live with a fault, then finish without."""
    life = Life(folder)
    try:
        with system(twin):
            life.live()
    except LedgerError as error:
        assert twin.failed is not None
        assert str(folder) in error.what, f"{twin.failed} is said as {error.what!r}"
    with system(FaultySystem()):
        life.check_at_rest()
        life.finish()
    figures(faults=int(twin.failed is not None))
