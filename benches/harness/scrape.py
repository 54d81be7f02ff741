"""Penstock's metrics page as a benchmark reads it."""

from __future__ import annotations

import urllib.request

Page = dict[str, float]  # a sample's name with its labels -> its value

LAG = "penstock_event_loop_lag_seconds"


def scraped(url: str) -> Page:
    """The page now. Raises OSError while nobody listens."""
    with urllib.request.urlopen(url, timeout=5) as page:
        lines = page.read().decode().splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def buckets(before: Page, after: Page, histogram: str) -> list[tuple[float, float]]:
    """What came between two looks: upper bounds and how many were no larger, cumulative."""
    start = f'{histogram}_bucket{{le="'
    return sorted(
        (float(name.removeprefix(start).removesuffix('"}')), after[name] - before.get(name, 0))
        for name in after
        if name.startswith(start)
    )


def quantile(counted: list[tuple[float, float]], share: float) -> float:
    """A quantile as Prometheus works it out: on a line between its bucket's bounds."""
    total = counted[-1][1]
    below, low = 0.0, 0.0
    for bound, count in counted:
        if count >= share * total and count > below:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (share * total - below) / (count - below)
        below, low = count, bound
    return low


def share_above(counted: list[tuple[float, float]], limit: float) -> float:
    """How large a share was above `limit`, which stands for the next bound that is no larger."""
    total = counted[-1][1]
    return 1 - max((count for bound, count in counted if bound <= limit * 1.001), default=0) / total
