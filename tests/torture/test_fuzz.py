"""Every target of `torture/fuzz`, with its seeds, changed; in the long form guided by coverage.

An input that fails is kept in `build/fuzz`, and the command that plays it again is printed.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest
import xxhash
from hypothesis import HealthCheck, Phase, given, settings

from torture.conftest import Figures
from torture.fuzz.mutations import mutated
from torture.fuzz.target import NAMES, Target, load, timed

ROOT: Final = Path(__file__).parents[2]

SHORT_EXAMPLES: Final = 100
SHORT_FLIPS: Final = 300  # of a target, over all its seeds
LONG_FLIPS: Final = 20_000
LONG_EXAMPLES: Final = 5_000  # where atheris isn't there
LONG_SECONDS: Final = 25
MASKS: Final = (0x01, 0x80, 0x20, 0x7F, 0xFF)
MOST_GROWTH_BYTES: Final = 512 << 20  # of this process, by hostile input of some hundred bytes

SETTINGS: Final[dict[str, Any]] = {
    "derandomize": True,
    "database": None,
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.generate, Phase.shrink],
}


@pytest.mark.parametrize("name", NAMES)
def test_the_seeds_are_read(name: str, tmp_path: Path) -> None:
    for data in load(name).seeds():
        timed(load(name), data, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_with_one_byte_changed_is_read_or_refused(
    name: str, tmp_path: Path, figures: Figures, long: bool
) -> None:
    """Checksums and offsets are met by single bytes: whatever does more is refused for its form."""
    target, done = load(name), 0
    size = sum(map(len, target.seeds()))
    step = size // (LONG_FLIPS if long else SHORT_FLIPS) + 1
    for seed in target.seeds():
        for at in range(done % step, len(seed), step):
            done += 1
            data = bytearray(seed)
            data[at] ^= MASKS[done % len(MASKS)]
            play(name, target, bytes(data), tmp_path)
    figures(fuzz_examples=done)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_done_to_a_seed_is_read_or_refused(
    name: str, tmp_path: Path, figures: Figures, long: bool
) -> None:
    if long and find_spec("atheris"):
        figures(fuzz_examples=guided(name, tmp_path))
    elif long:
        figures(fuzz_examples=changed(name, tmp_path, LONG_EXAMPLES), fuzzed_without_atheris=1)
    else:
        figures(fuzz_examples=changed(name, tmp_path, SHORT_EXAMPLES))


def play(name: str, target: Target, data: bytes, folder: Path) -> None:
    """Gives a target an input; one that fails is kept."""
    try:
        timed(target, data, folder)
    except Exception:
        keep(name, data)
        raise


def changed(name: str, folder: Path, examples: int) -> int:
    """Plays so many examples of a target; returns how many it were."""
    target, done = load(name), 0

    @settings(max_examples=examples, **SETTINGS)
    @given(mutated(target.seeds()))
    def play_one(data: bytes) -> None:
        nonlocal done
        done += 1
        play(name, target, data, folder)

    before = peak_bytes()
    play_one()
    assert peak_bytes() - before < MOST_GROWTH_BYTES
    return done


def guided(name: str, folder: Path) -> int:
    """Fuzzes a target for a while, in a process of its own; returns how many inputs it had."""
    command = [sys.executable, "-m", "torture.fuzz", name]
    done = subprocess.run(
        [*command, "--seconds", str(LONG_SECONDS), "--folder", str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=10 * LONG_SECONDS,
        check=False,
    )
    words = done.stdout.decode("utf-8", "replace")
    for found in folder.glob("*-*"):
        keep(name, found.read_bytes())
    assert done.returncode == 0, words[-8000:]
    counted = re.search(r"stat::number_of_executed_units: *(\d+)", words)
    assert counted is not None, words[-2000:]
    return int(counted[1])


def keep(name: str, data: bytes) -> None:
    """Keeps an input that failed, and says how it is played again."""
    path = ROOT / "build" / "fuzz" / f"{name}-{xxhash.xxh3_64_hexdigest(data)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    where = path.relative_to(ROOT)
    print(f"again: PYTHONPATH=tests .venv/bin/python -m torture.fuzz {name} {where}")


def peak_bytes() -> int:
    """The most memory that this process ever had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
