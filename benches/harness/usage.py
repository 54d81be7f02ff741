"""What one run of a client took, as the accountant saw it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from harness.account import pinned

ACCOUNTANT = Path(__file__).with_name("account.py")


class Usage(msgspec.Struct, frozen=True):
    """One run: CPU of the whole process tree. `at_mark_seconds`: its CPU until the mark."""

    exit_code: int
    user_seconds: float
    system_seconds: float
    at_mark_seconds: float | None
    wall_seconds: float
    largest_resident_bytes: int  # of the tree's largest process
    killed: int
    preemptions: int = 0  # how often something else was given the core meanwhile
    forgotten_seconds: float = 0.0  # CPU of processes that nobody waited for, where it is known

    @property
    def cpu_seconds(self) -> float:
        return self.user_seconds + self.system_seconds + self.forgotten_seconds


class RunFailed(Exception):
    """Raised when a measured command fails; its words are what it said."""


def measured(
    command: Sequence[str],
    *,
    cores: set[int],
    accountant_cores: set[int],
    environment: Mapping[str, str] | None = None,
    mark: str | None = None,
) -> Usage:
    """Run a command on `cores`, and its accountant on others. Raises RunFailed."""
    marked = ["--mark", mark] if mark else []
    cores_words = ",".join(map(str, sorted(cores)))
    done = subprocess.run(
        [sys.executable, ACCOUNTANT, "--cores", cores_words, *marked, "--", *command],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        preexec_fn=pinned(accountant_cores),
        check=False,
    )
    said = done.stderr.decode(errors="replace")[-4000:]
    if done.returncode:
        raise RunFailed(f"the accountant of {command[0]}: {said}")
    usage = msgspec.convert(json.loads(done.stdout), Usage)
    if usage.exit_code or usage.killed:
        what = f"exit {usage.exit_code}" if usage.exit_code else f"{usage.killed} left behind"
        raise RunFailed(f"{' '.join(map(str, command))}: {what}\n{said}")
    if mark and usage.at_mark_seconds is None:
        raise RunFailed(f"{command[0]}: {mark} was never seen")
    return usage
