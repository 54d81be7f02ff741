"""Whether workers end again and again with no row done in between."""

from __future__ import annotations

from penstock.engine.stopping import no_progress
from penstock.engine.stuck import FRUITLESS_CRASHES, FRUITLESS_KILLS, Stuck


def test_so_many_crashes_in_a_row_are_too_many() -> None:
    stuck = Stuck()
    for _ in range(3):
        assert not any(stuck.crashed() for _ in range(FRUITLESS_CRASHES - 1))
        stuck.progressed()
    assert [stuck.crashed() for _ in range(FRUITLESS_CRASHES)].index(True) == FRUITLESS_CRASHES - 1
    assert stuck.deaths == FRUITLESS_CRASHES


def test_so_many_kills_are_too_many_if_they_had_a_row_in_common() -> None:
    stuck = Stuck()
    stuck.killed([8, 9])
    stuck.progressed()
    assert (stuck.deaths, stuck.rows) == (0, [])
    found = [stuck.killed([7, 3, 100 + n]) for n in range(FRUITLESS_KILLS)]
    assert found.index(True) == FRUITLESS_KILLS - 1
    assert stuck.rows == [3, 7]


def test_kills_that_have_no_row_in_common_come_from_outside() -> None:
    stuck = Stuck()
    assert not any(stuck.killed([n, n + 1, 100 + n % 5]) for n in range(1000))
    assert not any(stuck.killed([]) for _ in range(1000))


def test_the_words_name_the_rows_as_far_as_they_are_few() -> None:
    assert "row 3, 7" in no_progress(12, "killed by SIGKILL", [3, 7]).message
    assert no_progress(12, "x", range(99)).message.endswith("9, ...")
    assert "row" not in no_progress(8, "x", []).message.rpartition("by: ")[2]
