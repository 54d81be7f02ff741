"""A worker's money: put aside before a request is sent, settled after it, and waited for."""

from __future__ import annotations

import asyncio

import pytest

from engine.limiters import slab
from engine.virtual_time import Clock, VirtualLoop
from penstock.engine.messages import Funds, PriceOf
from penstock.engine.pacer import Draining
from penstock.engine.purse import Purse
from penstock.engine.rates import Rates
from penstock.observe.slab_layout import C
from penstock.providers.provider import Answer

RATES = Rates(1, 1, 1, 2, 2)
DEARER = Rates(10, 10, 10, 20, 20)


class Scene:
    """A purse, and what it says."""

    def __init__(self, *, budgeted: bool = True, usual: Rates | None = RATES) -> None:
        self.said: list[Funds | PriceOf] = []
        self.slab = slab()
        self.purse = Purse(
            self.slab,
            "m",
            {"m": usual} if usual else {},
            usual,
            slots=2,
            budgeted=budgeted,
            say=self.said.append,
        )

    def cells(self) -> tuple[int, int, int]:
        """Spent, in flight, lost."""
        return (
            self.slab.get(C.SPENT_PUSD),
            self.slab.get(C.OPEN_PUSD),
            self.slab.get(C.LOST_PUSD),
        )


def test_a_request_is_predicted_by_the_price_of_what_is_asked_for() -> None:
    scene = Scene()
    assert scene.purse.predict(100, 10) == 120
    assert Scene(usual=None).purse.predict(100, 10) == 0


def test_without_a_budget_nobody_waits_and_all_is_counted() -> None:
    scene = Scene(budgeted=False)
    assert scene.purse.hold(10**12)
    scene.purse.sent(10**12)
    assert scene.cells() == (0, 10**12, 0)
    answer = Answer(input_tokens=3, output_tokens=2)
    assert scene.purse.settle(10**12, answer, was_sent=True, in_doubt=False) == 7
    assert scene.cells() == (7, 0, 0)
    assert scene.said == []


@pytest.mark.parametrize(
    ("answer", "was_sent", "in_doubt", "cost", "cells"),
    [
        (Answer(input_tokens=3, output_tokens=2), True, False, 7, (7, 0, 0)),
        (Answer(input_tokens=3), True, False, 3, (3, 0, 0)),  # an embedding
        (Answer(), True, False, None, (100, 0, 100)),  # without a usage
        (None, True, False, None, (0, 0, 0)),  # a refusal
        (None, True, True, None, (100, 0, 100)),  # no readable answer
        (None, False, False, None, (0, 0, 0)),
    ],
)
def test_what_came_decides_what_counts_as_spent(
    answer: Answer | None,
    was_sent: bool,
    in_doubt: bool,
    cost: int | None,
    cells: tuple[int, int, int],
) -> None:
    scene = Scene(budgeted=False)
    if was_sent:
        scene.purse.sent(100)
    assert scene.purse.settle(100, answer, was_sent=was_sent, in_doubt=in_doubt) == cost
    assert scene.cells() == cells


def test_a_request_waits_until_dollars_are_granted(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene()
        assert not scene.purse.hold(100)
        waiting = loop.create_task(scene.purse.wait(100))
        await asyncio.sleep(0)
        assert scene.said == [Funds(100, 200, 0)]  # one for each slot, while it is at it
        scene.purse.funded(200)
        await waiting
        assert scene.purse.hold(100)
        assert not scene.purse.hold(1)

    clock.run(main)


def test_what_was_settled_for_less_lets_the_next_one_go(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene()
        scene.purse.funded(100)
        assert scene.purse.hold(100)
        waiting = [loop.create_task(scene.purse.wait(40)) for _ in range(2)]
        await asyncio.sleep(0)
        scene.purse.sent(100)
        answer = Answer(input_tokens=50, output_tokens=0)
        scene.purse.settle(100, answer, was_sent=True, in_doubt=False)
        await asyncio.sleep(0)
        assert [task.done() for task in waiting] == [True, False]
        scene.purse.stop()
        with pytest.raises(Draining):
            await waiting[1]

    clock.run(main)


def test_who_comes_later_and_costs_less_does_not_pass_who_waits(clock: Clock) -> None:
    """Else a large record would wait as long as there are small ones."""

    async def main(loop: VirtualLoop) -> None:
        scene = Scene()
        scene.purse.funded(50)
        waiting = loop.create_task(scene.purse.wait(100))
        await asyncio.sleep(0)
        scene.purse.funded(49)
        assert not scene.purse.hold(1)
        scene.purse.funded(1)
        await waiting

    clock.run(main)


def test_where_there_is_too_little_all_that_is_unused_goes_back(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene()
        scene.purse.funded(90)
        waiting = loop.create_task(scene.purse.wait(100))
        await asyncio.sleep(0)
        assert scene.said == [Funds(10, 110, 0)]
        scene.purse.funded(0)
        assert scene.said[1:] == [Funds(100, 100, 90)]
        scene.purse.funded(0)
        assert len(scene.said) == 2
        scene.purse.funded(100)
        await waiting

    clock.run(main)


def test_an_overdraft_is_told_with_the_next_wish(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene()
        scene.purse.funded(100)
        assert scene.purse.hold(100)
        scene.purse.sent(100)
        answer = Answer(input_tokens=150, output_tokens=0)
        scene.purse.settle(100, answer, was_sent=True, in_doubt=False)
        waiting = loop.create_task(scene.purse.wait(40))
        await asyncio.sleep(0)
        assert scene.said[-1] == Funds(40, 80, -50)
        scene.purse.funded(40)
        await waiting

    clock.run(main)


def test_a_worker_without_records_keeps_no_dollars() -> None:
    scene = Scene()
    scene.purse.funded(90)
    scene.purse.rest()
    scene.purse.rest()
    assert scene.said == [Funds(0, 0, 90)]


def test_a_request_that_is_cancelled_leaves_its_place_or_its_dollars(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene()
        first, second = (loop.create_task(scene.purse.wait(40)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        scene.purse.funded(40)
        second.cancel()  # it was let go, and does not know yet
        await asyncio.wait([second])
        assert scene.purse.hold(40)

    clock.run(main)


def test_once_stopped_nothing_is_put_aside(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene()
        scene.purse.funded(100)
        scene.purse.stop()
        assert not scene.purse.hold(1)
        with pytest.raises(Draining):
            await scene.purse.wait(1)

    clock.run(main)


def test_a_worker_that_asks_often_asks_for_more_and_then_for_less(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> list[int]:
        scene = Scene()
        wanted = []
        for pause in (0, 0.1, 0.1, 5.0, 5.0):
            await asyncio.sleep(pause)
            waiting = loop.create_task(scene.purse.wait(100))
            await asyncio.sleep(0)
            said = scene.said[-1]
            assert isinstance(said, Funds)
            wanted.append(said.wants)
            scene.purse.funded(said.wants)
            await waiting
            scene.purse.rest()
        return wanted

    assert clock.run(main) == [200, 400, 800, 400, 200]


def test_the_price_of_a_model_that_answers_name_is_asked_for_once(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene()
        answer = Answer(model="m-2027", input_tokens=1, output_tokens=1)
        assert not scene.purse.knows(answer)
        tasks = [loop.create_task(scene.purse.learn(answer)) for _ in range(2)]
        await asyncio.sleep(0)
        assert scene.said == [PriceOf("m-2027")]
        scene.purse.learned("m-2027", DEARER)
        await asyncio.gather(*tasks)
        assert scene.purse.knows(answer)
        assert scene.purse.cost(answer) == 30
        assert scene.purse.cost(Answer(input_tokens=1, output_tokens=1)) == 3

    clock.run(main)


def test_a_model_that_nobody_knows_costs_what_was_asked_for() -> None:
    scene = Scene()
    scene.purse.learned("odd", None)
    assert scene.purse.cost(Answer(model="odd", input_tokens=1, output_tokens=1)) == 3


def test_what_is_not_known_before_is_learned_by_the_first_answer(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene(budgeted=False, usual=None)
        answer = Answer(input_tokens=1, output_tokens=1)
        learning = loop.create_task(scene.purse.learn(answer))
        await asyncio.sleep(0)
        assert scene.said == [PriceOf("m")]
        scene.purse.learned("m", RATES)
        await learning
        assert scene.purse.cost(answer) == 3
        assert scene.purse.predict(1, 1) == 3

    clock.run(main)


def test_a_worker_that_ends_waits_for_no_price(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene()
        answer = Answer(model="other")
        learning = loop.create_task(scene.purse.learn(answer))
        await asyncio.sleep(0)
        scene.purse.stop()
        await learning
        assert scene.purse.knows(answer)

    clock.run(main)
