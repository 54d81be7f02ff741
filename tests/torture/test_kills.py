"""Processes killed at every named step: nothing is lost, nothing stands twice."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from conftest import Simulate
from integration.place import PENSTOCK
from penstock.simulator import SimulatorProcess
from torture.chamber import BEHAVIOUR, Chamber, Order
from torture.conftest import Figures
from torture.steps import FUNCTIONS, UNWATCHED, Point, points, steps

ROWS = 900
REJECTED = 0.04
EACH = 12  # points in one trial
LONG = -(-len(points()) * 5 // EACH)  # trials, so that each point is struck five times

# What must strike before some steps are come by. Again, if it has to: a supervisor may die of
# another order before it has seen to what the first one did.
HELPERS = {
    "torn": Order("worker", "segment write", "amid", 2),
    "death": Order("worker", "lease received", "after", 2),
    "abandoned": Order("worker", "segment fsync", "before", 2, "fail"),
}
TRIES = 6


@pytest.mark.seeds(2, LONG)
@pytest.mark.timeout(300)
def test_a_run_struck_at_named_steps_comes_out_whole(
    tmp_path: Path, simulate: Simulate, figures: Figures, seed: int
) -> None:
    bad = simulate(**BEHAVIOUR, reject=REJECTED, seed=seed)
    good = simulate(**BEHAVIOUR, seed=seed)
    chamber = Chamber(tmp_path, bad, ROWS, orders_of(seed))
    with chamber.trial(f"tests/torture/test_kills.py -k named_steps --seed {seed}"):
        tell(chamber, good)
        assert chamber.unstruck() == []
        figures(bought_twice=chamber.check_bought(good), **chamber.counts())


def tell(chamber: Chamber, good: SimulatorProcess) -> None:
    """The story: a run, a redo of its dead letters, another export; each until it is complete."""
    place = chamber.place
    chamber.until_complete(chamber.run_command, (0, 3))
    dead = chamber.rejected()
    assert dead
    chamber.check(dead)
    chamber.until_complete(lambda: chamber.redo_command(good), (0,))
    chamber.check([])
    again = [one["row"] for one in place.results() if one["generation"] == 1]
    assert again == dead
    other = place.folder / "out.again.jsonl"
    chamber.until_complete(lambda: [PENSTOCK, "export", str(place.run_dir), "-o", str(other)], (0,))
    assert other.read_bytes() == place.output.read_bytes()
    chamber.check_nothing_is_left()


def orders_of(seed: int) -> list[Order]:
    """The points of one seed; over `LONG` seeds all of them, equally often."""
    every, random = points(), Random(seed)
    Random(0).shuffle(every)
    chosen = [every[(seed * EACH + n) % len(every)] for n in range(EACH)]
    orders = [order_of(point, random) for point in chosen]
    for need, helper in HELPERS.items():
        helped = tuple(n for n, point in enumerate(chosen) if point.step.needs == need)
        orders += [helper._replace(helps=helped)] * (TRIES if helped else 0)
    return orders


def order_of(point: Point, random: Random) -> Order:
    role, name, _ = point.step
    other = "kill parent" if role == "worker" else "kill child"
    deed = other if random.random() < 0.15 else "kill"
    nth = random.randint(1, 20) if name in ("request made", "result settled") else 1
    return Order(role, name, point.side, nth, deed, warm=point.warm)


@pytest.mark.timeout(300)
def test_what_was_written_is_not_bought_again(
    tmp_path: Path, simulate: Simulate, figures: Figures, long: bool
) -> None:
    """Each worker dies when it has written much of which nothing is told yet."""
    provider = simulate(ttft_seconds=BEHAVIOUR["ttft_seconds"], ttft_spread=0.0)
    kills = 6 if long else 2
    orders = [Order("worker", "segment fsync", "before", 2)] * kills
    chamber = Chamber(tmp_path, provider, 400 * kills, orders, stdin=False)
    with chamber.trial("tests/torture/test_kills.py -k bought_again"):
        chamber.until_complete(chamber.run_command, (0,))
        chamber.check([])
        assert chamber.unstruck() == []
        figures(bought_twice=chamber.check_bought(), **chamber.counts())


@pytest.mark.timeout(300)
def test_the_table_of_steps_is_whole(tmp_path: Path, simulate: Simulate) -> None:
    """What a rich run does is in the table, and the table has nothing else."""
    bad, good = simulate(reject=REJECTED, ttft_seconds=0.03), simulate()
    # Each helper three times: a write that is torn may be that of a segment's end, a supervisor may
    # die before it has seen to a death, and neither leaves all that it could.
    orders = [*HELPERS.values()] * 3 + [Order("supervisor", "checkpoint rename old", nth=3)]
    orders = [one._replace(warm=False) for one in orders]
    chamber = Chamber(tmp_path, bad, ROWS, orders, record=True)
    with chamber.trial("tests/torture/test_kills.py -k whole"):
        tell(chamber, good)
    met = {one for one in chamber.steps() if one.partition(": ")[2] not in UNWATCHED}
    assert met == set(map(str, steps()))


def test_the_long_form_strikes_a_thousand_times_each_step_ten_and_nearly_always_mid_run() -> None:
    orders = [order for seed in range(LONG) for order in orders_of(seed) if not order.helps]
    struck = Counter(f"{order.role}: {order.step}" for order in orders)
    assert set(struck) == set(map(str, steps()))
    assert min(struck.values()) >= 10
    assert len(orders) >= 1000
    assert sum(order.warm for order in orders) >= 0.95 * len(orders)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_function_of_a_step_exists(name: str) -> None:
    module, _, path = FUNCTIONS[name].name.partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    assert callable(found)
