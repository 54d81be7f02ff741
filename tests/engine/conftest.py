"""Time for tests of the engine: a clock that all of its modules read, and that only jumps."""

from __future__ import annotations

import pytest

from engine.virtual_time import Clock

READERS = (
    "asker",
    "committer",
    "crew",
    "ending",
    "lane",
    "pacer",
    "purse",
    "routed_work",
    "supervisor",
    "work",
    "worker_process",
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in READERS:
        monkeypatch.setattr(f"penstock.engine.{module}.monotonic_ns", clock)
    return clock
