"""What an epoch made of its slots' time and its requests, so far: what the log keeps of it.

Summaries tell of the newest epoch alone, and of none whose supervisor was killed. Each checkpoint's
line in the log has this beside it, so that a run can be judged as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from penstock.observe.bottleneck import CELLS
from penstock.observe.slab_layout import C
from penstock.observe.tally import Totals

BUSY = "busy"


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of an epoch, or of several."""

    running_seconds: float = 0.0  # from when the workers were ready to the last row's end
    slot_seconds: dict[str, float] = {}  # by what limited; `busy` is time well spent
    requests: int = 0
    retries: dict[str, int] = {}  # by error class
    throttles: int = 0

    @property
    def shares(self) -> dict[str, float]:
        """Each reason's share of slot time, the largest first; empty where none was spent."""
        whole = sum(self.slot_seconds.values())
        by_time = sorted(self.slot_seconds.items(), key=lambda one: -one[1])
        return {name: spent / whole for name, spent in by_time if spent} if whole else {}


def use_of(totals: Totals, running_seconds: float) -> Use:
    """What slabs say."""
    cells = {BUSY: C.SLOT_BUSY_NS, **CELLS}
    return Use(
        running_seconds=round(running_seconds, 3),
        slot_seconds={name: round(totals[cell] / 1e9, 3) for name, cell in cells.items()},
        requests=totals.requests(),
        retries={name: count for name, count in totals.retries_by_reason().items() if count},
        throttles=totals[C.THROTTLES],
    )


def together(uses: Iterable[Use]) -> Use:
    """The sums of several epochs."""
    slots: dict[str, float] = {}
    retries: dict[str, int] = {}
    seconds, requests, throttles = 0.0, 0, 0
    for one in uses:
        seconds += one.running_seconds
        requests += one.requests
        throttles += one.throttles
        for name, spent in one.slot_seconds.items():
            slots[name] = slots.get(name, 0.0) + spent
        for name, count in one.retries.items():
            retries[name] = retries.get(name, 0) + count
    return Use(
        running_seconds=seconds,
        slot_seconds=slots,
        requests=requests,
        retries=retries,
        throttles=throttles,
    )
