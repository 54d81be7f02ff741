"""Who may spend how much: whatever is asked, spent, mispredicted or killed, the budget holds."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.engine.quotas import Quotas, Used


class Model:
    """A worker as the decider knows it: it spends what it has, and asks for more."""

    def __init__(self) -> None:
        self.free = self.spent = 0
        self.flying: list[int] = []  # what was predicted for each request in flight

    @property
    def used(self) -> Used:
        return Used(self.spent, sum(self.flying))


class Game:
    """A budget, workers that come and go, and what was really spent."""

    def __init__(self, budget: int, cost: int, seed: int) -> None:
        self.dice = random.Random(seed)
        self.budget, self.cost = budget, cost
        self.quotas = Quotas(budget, 0)
        self.workers: dict[int, Model] = {}
        self.born = 0
        self.gone = 0  # spent by the dead, their flights included
        self.overdrawn = 0  # by how much answers were dearer than predicted

    @property
    def used(self) -> dict[int, Used]:
        return {number: worker.used for number, worker in self.workers.items()}

    @property
    def spent(self) -> int:
        return self.gone + sum(sum(used) for used in self.used.values())

    def start(self) -> None:
        self.born += 1
        self.workers[self.born] = Model()
        self.quotas.join(self.born)

    def kill(self, number: int) -> None:
        worker = self.workers.pop(number)
        self.gone += sum(worker.used)
        self.quotas.bury(number, worker.used)

    def send(self, number: int) -> None:
        worker = self.workers[number]
        if worker.free >= self.cost:
            worker.free -= self.cost
            worker.flying.append(self.cost)
            return
        returns, worker.free = worker.free, 0
        wants = self.cost * self.dice.randint(1, 8)
        self.quotas.ask(number, self.cost, wants, returns)

    def settle(self, number: int, real: int) -> None:
        worker = self.workers[number]
        if worker.flying:
            held = worker.flying.pop()
            worker.spent += real
            worker.free += held - real
            self.overdrawn += max(0, real - held)

    def grant(self) -> None:
        for number, amount in self.quotas.grants(self.used):
            assert amount >= 0
            self.workers[number].free += amount

    def check(self) -> None:
        exposed = self.quotas.exposed(self.used)
        assert self.spent <= exposed
        assert exposed <= self.budget + self.overdrawn
        assert self.spent <= self.budget + self.overdrawn

    def step(self) -> None:
        number = self.dice.choice(list(self.workers))
        match self.dice.choice(("send", "send", "settle", "settle", "grant", "kill", "start")):
            case "send":
                self.send(number)
            case "settle":
                self.settle(number, self.dice.randint(0, self.cost * 2))
            case "grant":
                self.grant()
            case "kill" if self.dice.random() < 0.2:
                self.kill(number)
                self.start()
            case "start" if len(self.workers) < 5:
                self.start()
            case _:
                pass
        self.check()

    def play_out(self) -> None:
        """Every worker goes on until it can't."""
        for _ in range(100_000):
            self.grant()
            if self.quotas.is_over(self.used):
                return
            for number in list(self.workers):
                self.send(number)
                if self.dice.random() < 0.5:
                    self.settle(number, self.dice.randint(0, self.cost))
            self.check()
        raise AssertionError("it has no end")


@given(st.integers(0, 10_000), st.integers(1, 500), st.integers(0, 2**32))
def test_the_budget_holds_but_for_what_was_mispredicted_in_flight(
    budget: int, cost: int, seed: int
) -> None:
    game = Game(budget, cost, seed)
    game.start()
    for _ in range(200):
        game.step()


@settings(max_examples=40)
@given(st.integers(0, 2_000), st.integers(20, 500), st.integers(1, 5), st.integers(0, 2**32))
def test_a_run_that_has_more_to_ask_ends_with_less_left_than_a_request_needs(
    budget: int, cost: int, workers: int, seed: int
) -> None:
    game = Game(budget, cost, seed)
    for _ in range(workers):
        game.start()
    game.play_out()
    assert budget - game.spent < cost
    assert all(not worker.flying for worker in game.workers.values())


def test_what_earlier_epochs_spent_is_spent() -> None:
    quotas = Quotas(100, 95)
    quotas.join(1)
    quotas.ask(1, 10, 10, 0)
    assert quotas.grants({}) == [(1, 0)]
    assert quotas.grants({}) == []  # it is told once
    assert quotas.is_over({}) and quotas.shortest() == 10


def test_nothing_is_over_while_something_is_in_flight_that_may_be_cheaper() -> None:
    quotas = Quotas(100, 0)
    quotas.join(1)
    quotas.ask(1, 60, 60, 0)
    assert quotas.grants({}) == [(1, 60)]
    quotas.ask(1, 60, 60, 0)
    assert quotas.grants({1: Used(0, 60)}) == [(1, 0)]
    assert not quotas.is_over({1: Used(0, 60)})
    quotas.ask(1, 60, 60, 50)  # it cost 10
    assert quotas.grants({1: Used(10, 0)}) == [(1, 60)]


def test_a_killed_workers_flights_are_spent_and_its_unused_dollars_are_free() -> None:
    quotas = Quotas(100, 0)
    quotas.join(1)
    quotas.ask(1, 50, 50, 0)
    assert quotas.grants({}) == [(1, 50)]
    quotas.bury(1, Used(10, 15))
    quotas.bury(1, Used(10, 15))  # once
    assert quotas.exposed({}) == 25
    quotas.join(2)
    quotas.ask(1, 5, 5, 0)  # nobody hears the dead
    quotas.ask(2, 75, 75, 0)
    assert quotas.grants({}) == [(2, 75)]


def test_nobody_is_given_more_than_a_fair_part_beyond_its_need() -> None:
    quotas = Quotas(1000, 0)
    for worker in (1, 2):
        quotas.join(worker)
    quotas.ask(1, 10, 10_000, 0)
    assert quotas.grants({}) == [(1, 250)]
    quotas.ask(1, 600, 600, 0)
    assert quotas.grants({}) == [(1, 600)]


def test_crumbs_are_not_given_ahead_of_a_need() -> None:
    quotas = Quotas(100, 0)
    quotas.join(1)
    quotas.ask(1, 0, 1000, 0)
    assert quotas.grants({}) == []
    assert not quotas.is_over({})
    quotas.ask(1, 0, 100, 0)
    assert quotas.grants({}) == [(1, 50)]


def test_a_budget_that_is_raised_is_granted_and_one_that_is_lowered_grants_no_more() -> None:
    quotas = Quotas(100, 0)
    quotas.join(1)
    quotas.ask(1, 100, 100, 0)
    assert quotas.grants({}) == [(1, 100)]
    quotas.ask(1, 50, 50, 0)
    assert [amount for _, amount in quotas.grants({}) if amount] == []
    quotas.tune(200)
    quotas.ask(1, 50, 50, 0)
    assert quotas.grants({}) == [(1, 50)]
    quotas.tune(120)
    quotas.ask(1, 10, 10, 0)
    assert [amount for _, amount in quotas.grants({}) if amount] == []
