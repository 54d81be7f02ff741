from __future__ import annotations

import pytest

from penstock.observe.slab_layout import C, retry_cell
from penstock.observe.tally import nothing
from penstock.observe.use import Use, together, use_of


def test_what_slabs_say_is_kept_in_seconds_with_the_time_well_spent() -> None:
    totals = nothing()
    totals.cells[C.SLOT_BUSY_NS] = 1_500_000_000
    totals.cells[C.SLOT_REQUESTS_NS] = 4_500_000_000
    totals.cells[C.SLOT_DRAINED_NS] = 9_000_000_000
    totals.cells[C.THROTTLES] = 3
    totals.cells[retry_cell("timeout")] = 2
    found = use_of(totals, 7.25)
    assert (found.running_seconds, found.throttles, found.retries) == (7.25, 3, {"timeout": 2})
    assert found.slot_seconds["busy"] == 1.5 and found.slot_seconds["requests"] == 4.5
    assert found.shares == {"requests": 0.75, "busy": 0.25}  # the largest first; nothing drained


def test_epochs_are_added_up() -> None:
    one = Use(running_seconds=1, slot_seconds={"busy": 1, "cpu": 3}, retries={"dns": 1})
    other = Use(running_seconds=2, slot_seconds={"busy": 4}, requests=5, throttles=6)
    found = together([one, other, one])
    assert found == Use(
        running_seconds=4,
        slot_seconds={"busy": 6, "cpu": 6},
        requests=5,
        throttles=6,
        retries={"dns": 2},
    )
    assert found.shares["cpu"] == pytest.approx(0.5)
    assert together([]).shares == {}
