"""How busy a thread is counts what it ran, and what it waited for the CPU, and no sleep."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from penstock.engine import busy


def spin(seconds: float) -> None:
    began = time.thread_time()
    while time.thread_time() - began < seconds:
        pass


def test_a_thread_that_runs_is_busy_and_one_that_sleeps_is_not() -> None:
    began = busy.busy_ns()
    spin(0.05)
    ran = busy.busy_ns() - began
    assert ran >= 45_000_000
    began = busy.busy_ns()
    time.sleep(0.2)
    assert busy.busy_ns() - began < 150_000_000


def test_a_system_that_does_not_tell_still_says_how_long_it_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy, "SCHEDULED", tmp_path / "nothing")
    began = busy.busy_ns()
    spin(0.02)
    assert busy.busy_ns() - began >= 20_000_000


def test_the_wait_for_the_cpu_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "schedstat"
    told.write_text("1000 200 7\n")
    monkeypatch.setattr(busy, "SCHEDULED", told)
    assert busy.busy_ns() == 1200
