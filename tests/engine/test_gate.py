"""The gate: few at a time, whoever is cancelled on the way."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from engine.virtual_time import Clock, VirtualLoop
from penstock._core import Gate
from penstock.engine.gate import enter


def test_who_waits_passes_in_order(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        gate, passed = Gate(1), list[int]()

        async def one(number: int) -> None:
            await enter(gate)
            passed.append(number)

        tasks = [loop.create_task(one(number)) for number in range(4)]
        await asyncio.sleep(0)
        assert passed == [0]
        for number in range(1, 4):
            gate.leave()
            await asyncio.sleep(0)
            assert passed == list(range(number + 1))
        await asyncio.gather(*tasks)

    clock.run(main)


def test_who_was_overtaken_stands_in_front_of_the_line_again(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        gate, passed = Gate(1), list[int]()

        async def one(number: int) -> None:
            await enter(gate)
            passed.append(number)

        tasks = [loop.create_task(one(number)) for number in range(3)]
        await asyncio.sleep(0)
        gate.leave()
        assert gate.enter(), "the place is nobody's yet"
        await asyncio.sleep(0)
        assert passed == [0]
        for _ in range(2):
            gate.leave()
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        assert passed == [0, 1, 2]

    clock.run(main)


def test_a_line_ends_once_nobody_stays_inside(clock: Clock) -> None:
    """Who passes in one step leaves the gate open for whoever comes next, line or not."""

    async def main(loop: VirtualLoop) -> None:
        gate = Gate(1)
        assert gate.enter()
        waiting = [loop.create_task(enter(gate)) for _ in range(2)]
        await asyncio.sleep(0)
        gate.leave()
        assert gate.enter()
        gate.leave()
        assert gate.enter()
        gate.leave()
        await waiting[0]
        gate.leave()
        await waiting[1]

    clock.run(main)


def test_a_place_given_to_who_is_cancelled_in_the_same_turn_goes_to_the_next(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        gate = Gate(1)
        assert gate.enter()
        first, second = (loop.create_task(enter(gate)) for _ in range(2))
        await asyncio.sleep(0)
        gate.leave()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await second
        gate.leave()
        assert not gate.locked()

    clock.run(main)


@pytest.mark.parametrize("seed", range(20))
def test_places_are_neither_lost_nor_made_however_many_are_cancelled(
    clock: Clock, seed: int
) -> None:
    dice = Random(seed)

    async def main(loop: VirtualLoop) -> None:
        gate, inside = Gate(3), 0

        async def one() -> None:
            nonlocal inside
            if not gate.enter():
                await enter(gate)
            inside += 1
            assert inside <= 3
            try:
                await asyncio.sleep(dice.random())
            finally:
                inside -= 1
                gate.leave()

        tasks = [loop.create_task(one()) for _ in range(60)]
        for task in dice.sample(tasks, 30):
            await asyncio.sleep(dice.choice([0, dice.random() / 2]))
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(one) for one in ended} <= {type(None), asyncio.CancelledError}
        assert [gate.enter() for _ in range(4)] == [True, True, True, False]

    clock.run(main)
