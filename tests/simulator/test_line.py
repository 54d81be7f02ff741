"""The silent line before a simulated server."""

from __future__ import annotations

from penstock.simulator.line import Line

SECOND = 1_000_000_000


def test_with_no_servers_set_nobody_waits() -> None:
    assert [Line(0).wait_seconds(0, 5.0) for _ in range(9)] == [0.0] * 9


def test_who_finds_no_place_free_waits_for_the_first_that_will_be() -> None:
    line = Line(2)
    assert [line.wait_seconds(0, work) for work in (3.0, 1.0, 1.0, 5.0)] == [0.0, 0.0, 1.0, 2.0]
    assert line.wait_seconds(3 * SECOND, 1.0) == 0.0
    assert line.wait_seconds(100 * SECOND, 1.0) == 0.0


def test_a_line_gives_as_much_as_its_servers_work() -> None:
    line = Line(4)
    waits = [line.wait_seconds(0, 0.5) for _ in range(400)]
    assert waits[-1] == 400 * 0.5 / 4 - 0.5
