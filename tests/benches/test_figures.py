"""Figures are what raw runs say: the start drops out, and ratios are taken pair by pair."""

from __future__ import annotations

import pytest
from harness.comparison import Run
from harness.figures import figures
from harness.usage import Usage


def run(client: str, pair: int, requests: int, cpu: float, export: float | None = None) -> Run:
    usage = Usage(
        exit_code=0,
        user_seconds=0.75 * (cpu + (export or 0)),
        system_seconds=0.25 * (cpu + (export or 0)),
        at_mark_seconds=None if export is None else cpu,
        wall_seconds=2 * cpu,
        largest_resident_bytes=1 << 20,
        killed=0,
    )
    return Run(pair=pair, client=client, tls=False, requests=requests, usage=usage)


def pair(client: str, number: int, start: float, each: float) -> list[Run]:
    """A short and a long run of a client that starts in `start` seconds."""
    return [run(client, number, n, start + each * n) for n in (100, 1100)]


def test_what_starting_takes_drops_out() -> None:
    one, *_ = figures(pair("go", 0, start=3.0, each=25e-6))
    assert one.requests == 1000
    assert one.cpu_microseconds.median == pytest.approx(25)
    assert one.user_microseconds.median == pytest.approx(0.75 * 25)
    assert one.requests_per_second.median == pytest.approx(20_000)


def test_the_export_is_no_part_of_the_cpu_and_is_told() -> None:
    runs = [run("penstock", 0, n, 1 + 20e-6 * n, 0.5 + 7e-6 * n) for n in (100, 1100)]
    one, *_ = figures(runs)
    assert one.cpu_microseconds.median == pytest.approx(20)
    assert one.export_microseconds is not None
    assert one.export_microseconds.median == pytest.approx(7)


def test_a_ratio_is_of_one_pair_so_that_a_slow_minute_counts_for_both() -> None:
    slowness = (1.0, 3.0, 1.5)
    runs = [
        one
        for number, slow in enumerate(slowness)
        for one in (
            *pair("penstock", number, 1.0, slow * 20e-6),
            *pair("go", number, 0.1, slow * 25e-6),
        )
    ]
    penstock, go = figures(runs)
    assert (penstock.client, go.client) == ("penstock", "go")
    assert penstock.cpu_microseconds.least == pytest.approx(20)
    assert penstock.cpu_microseconds.most == pytest.approx(60)
    ratio = penstock.ratios["go"]
    assert (ratio.least, ratio.most) == (pytest.approx(0.8), pytest.approx(0.8))
