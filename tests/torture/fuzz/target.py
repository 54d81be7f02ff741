"""What is fuzzed: each target is a module of this folder with `seeds` and `once`.

`once(data, folder)` gives `data` to one reader, and raises for whatever must not come of it: an
exception that is not the reader's own, a wrong value, a missing row. `folder` is its to write in.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol, cast

NAMES: Final = (
    "answers",
    "channel",
    "classifier",
    "inputs",
    "jobs",
    "options",
    "records",
    "refusals",
    "sealed",
    "segments",
    "spools",
    "templates",
    "waits",
)

MOST_SECONDS: Final = 20.0  # of this thread: hostile input of a few hundred bytes takes no longer


class Target(Protocol):
    """One reader under fuzz."""

    def seeds(self) -> Sequence[bytes]:
        """Good data, made by the code that is tested, and what was found to be hard."""

    def once(self, data: bytes, folder: Path) -> None:
        """Reads `data`; raises AssertionError, or what the reader should not have raised."""


def load(name: str) -> Target:
    """The target of that name."""
    return cast(Target, importlib.import_module(f"torture.fuzz.{name}"))


def timed(target: Target, data: bytes, folder: Path) -> None:
    """`once`, which must not take long."""
    start = time.thread_time()
    target.once(data, folder)
    took = time.thread_time() - start
    assert took < MOST_SECONDS, f"took {took:.1f} s"
