"""From raw runs to figures: CPU per request by difference, ratios within pairs, medians, spread.

Pure, so that anyone can work the figures out again from a committed result.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from harness.comparison import Run


class Spread(msgspec.Struct, frozen=True):
    """A figure over the pairs."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """What a client's request costs. `ratios` are to other clients, taken pair by pair."""

    client: str
    tls: bool
    requests: int  # by which the two lengths differ
    cpu_microseconds: Spread  # user + system, the export apart
    user_microseconds: Spread  # with the export, which has no such split
    system_microseconds: Spread
    export_microseconds: Spread | None  # a record; None where the client has none
    requests_per_second: Spread  # with the export, by the clock
    largest_resident_bytes: int
    ratios: dict[str, Spread]


class Difference(msgspec.Struct, frozen=True):
    """What a request of one client cost in one pair, in seconds."""

    requests: int
    cpu: float
    user: float
    system: float
    export: float | None
    wall: float
    largest_resident_bytes: int


def cpu_of(run: Run) -> float:
    """CPU of a run, without its export where it has one."""
    marked = run.usage.at_mark_seconds
    return run.usage.cpu_seconds if marked is None else marked


def difference(short: Run, long: Run) -> Difference:
    """What each further request cost."""
    more = long.requests - short.requests
    export = None
    if short.usage.at_mark_seconds is not None:
        export = (long.usage.cpu_seconds - cpu_of(long)) - (short.usage.cpu_seconds - cpu_of(short))
    return Difference(
        requests=more,
        cpu=(cpu_of(long) - cpu_of(short)) / more,
        user=(long.usage.user_seconds - short.usage.user_seconds) / more,
        system=(long.usage.system_seconds - short.usage.system_seconds) / more,
        export=None if export is None else export / more,
        wall=(long.usage.wall_seconds - short.usage.wall_seconds) / more,
        largest_resident_bytes=long.usage.largest_resident_bytes,
    )


Pairs = dict[tuple[str, bool], dict[int, Difference]]  # by client and TLS, by pair


def differences(runs: Iterable[Run]) -> Pairs:
    """Every client's difference in every pair."""
    grouped: dict[tuple[str, bool, int], list[Run]] = defaultdict(list)
    for run in runs:
        grouped[run.client, run.tls, run.pair].append(run)
    pairs: Pairs = defaultdict(dict)
    for (client, tls, pair), two in grouped.items():
        short, long = sorted(two, key=lambda run: run.requests)
        pairs[client, tls][pair] = difference(short, long)
    return dict(pairs)


def figures(runs: Iterable[Run]) -> list[Figure]:
    """Every client's figure, plain ones first, cheap ones first."""
    pairs = differences(runs)
    made = [figure(client, tls, pairs) for client, tls in pairs]
    return sorted(made, key=lambda one: (one.tls, one.cpu_microseconds.median))


def figure(client: str, tls: bool, pairs: Pairs) -> Figure:
    mine = pairs[client, tls]
    all_mine = list(mine.values())
    exports = [one.export for one in all_mine if one.export is not None]
    return Figure(
        client=client,
        tls=tls,
        requests=all_mine[0].requests,
        cpu_microseconds=Spread.of([one.cpu * 1e6 for one in all_mine]),
        user_microseconds=Spread.of([one.user * 1e6 for one in all_mine]),
        system_microseconds=Spread.of([one.system * 1e6 for one in all_mine]),
        export_microseconds=Spread.of([one * 1e6 for one in exports]) if exports else None,
        requests_per_second=Spread.of([1 / one.wall for one in all_mine]),
        largest_resident_bytes=max(one.largest_resident_bytes for one in all_mine),
        ratios={
            other: Spread.of([mine[pair].cpu / theirs[pair].cpu for pair in mine])
            for (other, with_tls), theirs in pairs.items()
            if with_tls == tls and other != client and theirs.keys() == mine.keys()
        },
    )
