"""What a run's slots wait for, and so what limits it.

Every slot of a worker is in one state at every moment, and its time goes to exactly one cell:

    busy         its request is out, and either another slot is free or no record waits for one
    concurrency  its request is out, all slots are, and records wait: more slots would help
    requests     free; a record waits for a ticket, and a requests bucket is what holds it
    tokens       free; a record waits for a ticket, and a token bucket is what holds it
    throttled    free; the provider asked for a pause, is down, or filled the retry heap
    disk         free; the writer has not taken the results that wait for it
    budget       free; a record waits for dollars that requests in flight have put aside
    input        free; no record is here to be started, and more are to come
    cpu          in flight while the event loop had no idle time, or free beside records that
                 nothing holds
    drained      free; nothing is left to start (counted for no reason)

A share is a reason's part of all slot time but `drained`; what is left is `busy`, time well spent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from penstock.observe.slab_layout import C

Hold = Literal["requests", "tokens", "throttled", "disk", "budget"]

CELLS: Final = {
    "requests": C.SLOT_REQUESTS_NS,
    "tokens": C.SLOT_TOKENS_NS,
    "concurrency": C.SLOT_CONCURRENCY_NS,
    "throttled": C.SLOT_THROTTLED_NS,
    "input": C.SLOT_INPUT_NS,
    "cpu": C.SLOT_CPU_NS,
    "disk": C.SLOT_DISK_NS,
    "budget": C.SLOT_BUDGET_NS,
}
REASONS: Final = tuple(CELLS)

# Above this part of its time on the CPU an event loop answers late, and in-flight time no longer
# speaks of the provider.
SATURATED: Final = 0.9

# A reason below this share of slot time limits nothing.
LEAST_SHARE: Final = 0.01


def slot_time(
    elapsed_ns: int,
    *,
    slots: int,
    in_flight: int,
    queued: int,
    hold: Hold | None,
    loop_busy_ns: int,
    drained: bool,
) -> dict[C, int]:
    """Which cells the slots' time since the last account goes to; adds up to `elapsed_ns * slots`.

    `hold` is what keeps the head record from being sent, `queued` counts the records that could be
    started now (due retries too), `loop_busy_ns` is how long the loop's thread ran or was ready to,
    and `drained` says that no more records are to come.
    """
    free = max(0, slots - in_flight)
    saturated = loop_busy_ns >= SATURATED * elapsed_ns
    if saturated:
        flying = C.SLOT_CPU_NS
    elif free == 0 and queued > 0:
        flying = C.SLOT_CONCURRENCY_NS
    else:
        flying = C.SLOT_BUSY_NS
    spent = {flying: elapsed_ns * (slots - free)}
    idle = idle_cell(queued, hold, drained)
    spent[idle] = spent.get(idle, 0) + elapsed_ns * free
    return spent


def idle_cell(queued: int, hold: Hold | None, drained: bool) -> C:
    """The cell that a free slot's time goes to."""
    if hold is not None:
        return CELLS[hold]
    if queued > 0:
        return C.SLOT_CPU_NS
    return C.SLOT_DRAINED_NS if drained else C.SLOT_INPUT_NS


def bottleneck(cells: Mapping[C, int]) -> dict[str, float]:
    """Each reason's share of slot time, 0..1; all zero where no time has been spent."""
    whole = cells.get(C.SLOT_BUSY_NS, 0) + sum(cells.get(cell, 0) for cell in CELLS.values())
    return {reason: cells.get(cell, 0) / whole if whole else 0.0 for reason, cell in CELLS.items()}


def main_reason(shares: Mapping[str, float]) -> str | None:
    """The reason with the largest share; None where nothing limits."""
    reason = max(REASONS, key=lambda one: shares.get(one, 0.0))
    return reason if shares.get(reason, 0.0) >= LEAST_SHARE else None
