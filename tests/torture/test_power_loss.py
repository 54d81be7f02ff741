"""The power fails after any call to the disk: what was promised by then is there, and is right."""

from __future__ import annotations

import random
import tempfile
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from penstock.sources import spool
from torture.conftest import Figures
from torture.faulty_disk import FaultySystem
from torture.life import Life, Promises
from torture.power_loss import Event, Model, RecordingSystem
from torture.test_faults import system

PREFIXES: Final = 650  # enough for each
PRIME: Final = 7919


class Recording(NamedTuple):
    """A life: its calls, and what was promised after how many of them."""

    events: list[Event]
    promises: list[tuple[int, Promises]]
    bought: dict[tuple[int, int], set[str | None]]
    left: dict[str, bytes]  # what lay there at its end

    def promised(self, calls: int) -> Promises:
        """What was promised after so many calls."""
        return next((one for at, one in reversed(self.promises) if at <= calls), Promises())


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the spool has some."""
    monkeypatch.setattr(spool, "BLOCK_BYTES", 700)


@cache
def life() -> Recording:
    with tempfile.TemporaryDirectory() as folder:
        return recorded(Life(Path(folder)), Life.live)


def recorded(lived: Life, act: object) -> Recording:
    """Do something, and write down what it did to the disk."""
    twin = RecordingSystem(lived.folder)
    promises = [(0, lived.promises.copy())]
    lived.promised = lambda: promises.append((len(twin.events), lived.promises.copy()))
    with system(twin):
        act(lived)  # type: ignore[operator]
    left = {
        str(path.relative_to(lived.folder)): path.read_bytes()
        for path in lived.folder.rglob("*")
        if path.is_file()
    }
    return Recording(twin.events, promises, lived.bought, left)


def test_the_model_ends_with_what_is_there() -> None:
    """So that nothing went past the door, and the model is one of this file system."""
    model = Model()
    model.play(life().events)
    assert model.files() == life().left


@pytest.mark.seeds(12, PREFIXES)
def test_the_power_fails(tmp_path: Path, seed: int, figures: Figures) -> None:
    assert len(life().events) < PREFIXES, "not every prefix is tried by the long form"
    calls = seed * PRIME % (len(life().events) + 1)
    model = Model()
    model.play(life().events[:calls])
    model.leave(tmp_path / "left", random.Random(seed))
    come_back(survivor(tmp_path / "left", calls))
    figures(power_losses=1)


@pytest.mark.seeds(6, 200)
def test_the_power_fails_again_while_the_run_comes_back(
    tmp_path: Path, seed: int, figures: Figures
) -> None:
    chance = random.Random(seed)
    calls = chance.randrange(len(life().events) + 1)
    model = Model()
    model.play(life().events[:calls])
    model.leave(tmp_path / "left", chance)
    again = Model.of(tmp_path / "left")
    lived = survivor(tmp_path / "left", calls)
    second = recorded(lived, Life.complete)
    calls = chance.randrange(len(second.events) + 1)
    again.play(second.events[:calls])
    again.leave(tmp_path / "again", chance)
    twice = Life(tmp_path / "again", second.promised(calls))
    twice.bought = second.bought
    come_back(twice)
    figures(power_losses=2)


@pytest.mark.seeds(6, 200)
def test_the_power_fails_after_a_kill(tmp_path: Path, seed: int, figures: Figures) -> None:
    """What a killed process left unsynced is trusted by the next one only once that synced it."""
    chance = random.Random(seed)
    # The spool is written at the beginning, and never again.
    calls = chance.randrange(chance.choice((50, len(life().events) + 1)))
    model = Model()
    model.play(life().events[:calls])
    model.leave_all(tmp_path / "left")
    lived = survivor(tmp_path / "left", calls)
    second = recorded(lived, Life.complete)
    later = chance.randrange(len(second.events) + 1)
    model.play(renumbered(second.events[:later]))
    model.leave(tmp_path / "again", chance)
    twice = Life(tmp_path / "again", second.promised(later))
    twice.bought = second.bought
    come_back(twice)
    figures(power_losses=1, kills_before_a_power_loss=1)


def survivor(folder: Path, calls: int) -> Life:
    """What goes on in `folder` after so many calls of the recorded life."""
    made = Life(folder, life().promised(calls).copy())
    for key, said in life().bought.items():
        made.bought[key] |= said
    made.purchased(len(life().events) * 100)
    return made


def come_back(lived: Life) -> None:
    with system(FaultySystem()):
        lived.check_at_rest()
        lived.finish()


def renumbered(events: list[Event]) -> list[Event]:
    """Events whose descriptors are not those of an earlier recording."""
    return [
        (verb, ("again", first), *rest) if isinstance(first, int) else (verb, first, *rest)
        for verb, first, *rest in events
    ]
