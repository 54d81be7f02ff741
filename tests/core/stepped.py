"""The compiled core in a build of its own, in which another process can act between two accesses.

Everything that the core does with shared memory passes the few operations of `_atomics.h`; in this
build each of them calls `sys.penstock_step` first. Nothing else differs from what is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Final

import penstock._core  # noqa: F401  (first, so that the other one does not take its name)

ROOT: Final = Path(__file__).parents[2]


def build(folder: Path) -> Any:
    """Build it in a folder, its C too, as another may be building at once; returns the module."""
    command = [sys.executable, "setup.py", "-q", "build_ext"]
    places = ["--build-lib", str(folder), "--build-temp", str(folder)]
    done = subprocess.run(
        [*command, *places],
        cwd=ROOT,
        env={**os.environ, "PENSTOCK_STEPS": str(folder / "cython")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("penstock/_core*.so")
    loader = ExtensionFileLoader("penstock._core", str(path))
    spec = spec_from_file_location("penstock._core", path, loader=loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@contextmanager
def interrupted(at: int, other: Callable[[], object]) -> Iterator[Callable[[], int]]:
    """Within this, `other` is called once, before access number `at`, from 0.

    Gives a function that tells how many accesses there were, those of `other` not counted.
    """
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if count == at + 1:
            sys.penstock_step = None  # type: ignore[attr-defined]
            other()
            sys.penstock_step = step  # type: ignore[attr-defined]

    sys.penstock_step = step  # type: ignore[attr-defined]
    try:
        yield lambda: count
    finally:
        sys.penstock_step = None  # type: ignore[attr-defined]
