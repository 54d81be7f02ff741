"""The gate where nobody waits; `tests/engine/test_gate` has those who do."""

from __future__ import annotations

from penstock._core import Gate


def test_an_open_gate_is_passed_at_once_and_a_shut_one_is_not() -> None:
    gate = Gate(2)
    assert [gate.enter() for _ in range(3)] == [True, True, False]
    assert gate.locked()
    gate.leave()
    assert not gate.locked()
    assert gate.enter()


def test_a_gate_tells_of_each_place_that_becomes_free() -> None:
    told: list[bool] = []
    gate = Gate(1)
    gate.on_leave = lambda: told.append(gate.locked())
    assert gate.enter()
    assert not gate.enter()
    assert told == []
    gate.leave()
    assert told == [False]
