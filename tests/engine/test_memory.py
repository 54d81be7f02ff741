"""Tests of giving memory back."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Iterator

import pytest

from penstock.engine import memory
from penstock.engine.memory import TRIM, give_back

# Half of what was allocated is freed, in between what is kept: nothing of it is at the heap's end.
HOLES = """
from pathlib import Path
from penstock.engine.memory import give_back

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

held = [bytes(8192) for _ in range(8192)]
del held[::2], held[1::3]
before = resident()
give_back()
print(before - resident())
"""

# In a process of its own: other threads of the tests leave something to be collected, too.
CYCLES = """
import gc
from penstock.engine.memory import give_back
give_back()
gc.collect()
for _ in range(10):
    give_back()
print(gc.collect())
"""


def printed(script: str) -> int:
    """The number that a script prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), TRIM), reason="this C library has no way to")
def test_what_is_free_between_what_is_not_goes_back_to_the_system() -> None:
    assert printed(HOLES) > 16 << 10  # KiB, of 42 MiB that were freed


@pytest.fixture(autouse=True)
def looked_up_anew() -> Iterator[None]:
    memory.trimmer.cache_clear()
    yield
    memory.trimmer.cache_clear()


def test_a_c_library_that_keeps_nothing_is_asked_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "TRIM", "no_such_function_of_any_library")
    give_back()


def test_to_give_back_leaves_nothing_that_only_a_collection_frees() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CYCLES], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == 0
