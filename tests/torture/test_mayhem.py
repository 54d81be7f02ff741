"""Signals from outside, at random moments: kills, stops with a late waking, and terminations."""

from __future__ import annotations

import resource
import signal
from pathlib import Path
from random import Random

import pytest

from conftest import Simulate
from integration.place import Live
from torture import tree
from torture.chamber import BEHAVIOUR, WORKERS, Chamber
from torture.conftest import Figures
from torture.mayhem import IMPATIENT, POISON, Mayhem

ROWS = 150  # for each deed: time enough for the next one's moment
REPLACEMENTS = 25  # in the long form


@pytest.fixture(autouse=True)
def no_core_files() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


@pytest.mark.seeds(1, 48)
@pytest.mark.timeout(300)
def test_a_run_in_mayhem_comes_out_whole(
    tmp_path: Path, simulate: Simulate, figures: Figures, long: bool, seed: int
) -> None:
    """Every third seed has a row that aborts whoever asks for it: the only innocent's danger."""
    random = Random(seed)
    deeds = 10 if long or seed else 4
    rows = ROWS * deeds
    provider = simulate(**BEHAVIOUR, reject=0.02, seed=seed)
    poison = random.randrange(rows // 3) if seed % 3 == 1 else None
    words = IMPATIENT + (POISON.format(text=f"text {poison},".encode()) if poison else "")
    chamber = Chamber(tmp_path, provider, rows, stdin=bool(seed % 2), words=words)
    with chamber.trial(f"tests/torture/test_mayhem.py -k mayhem --long --seed {seed}"):
        mayhem = Mayhem(chamber, random)
        with mayhem.told():
            mayhem.wreak(deeds)
            chamber.check(sorted({*chamber.rejected(), *([poison] if poison else [])}))
            again = provider.stats()["asked_again"]
            assert again <= (most := mayhem.most_again()), f"{again} bought twice, not {most}"
    done = mayhem.done
    figures(
        kills=done["kills"],
        kills_mid_run=done["kills_mid_run"],
        stops=done["stops"],
        terms=done["terms"],
        bought_twice=again,
        rows_through_kills=rows,
    )


@pytest.mark.timeout(300)
def test_a_supervisor_keeps_no_descriptor_of_the_workers_it_replaced(
    tmp_path: Path, simulate: Simulate, figures: Figures, long: bool
) -> None:
    provider = simulate(ttft_seconds=3600.0)
    chamber = Chamber(tmp_path, provider, 200, stdin=False)
    held = []
    with chamber.trial("tests/torture/test_mayhem.py -k descriptor"):
        live = chamber.start(chamber.run_command())
        for count in range(1 + (REPLACEMENTS if long else 3)):
            live.until(lambda: both_started(live, WORKERS + count))  # noqa: B023
            held.append(tree.fewest_descriptors(live.process.pid))
            tree.send(live.workers()[0].pid, signal.SIGKILL)
        live.signal_all(signal.SIGKILL)
    assert max(held[1:]) <= held[1], held
    figures(kills=len(held), kills_mid_run=len(held))


def both_started(live: Live, times: int) -> bool:
    """Whether so many workers have come up so far, and as many live as should."""
    started = sum(one["event"] == "worker_started" for one in live.events())
    return started >= times and len(live.workers()) == WORKERS
