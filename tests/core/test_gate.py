"""The gate where nobody waits; `tests/engine/test_gate` has those who do."""

from __future__ import annotations

import asyncio

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


def test_a_gate_tells_of_a_free_place_also_while_others_wait_for_one() -> None:
    told: list[bool] = []
    gate = Gate(1)
    gate.on_leave = lambda: told.append(gate.locked())
    loop = asyncio.new_event_loop()
    gate.line.extend(loop.create_future() for _ in range(2))
    assert gate.enter()
    gate.leave()
    loop.close()
    assert told == [False]
    assert [one.done() for one in gate.line] == [False]
