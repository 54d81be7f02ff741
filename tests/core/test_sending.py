"""One request's way out; `tests/engine/test_asker` has those that wait on it."""

from __future__ import annotations

import asyncio
import mmap

import pytest

from penstock._core import (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    REQUESTS,
    Gate,
    Limiter,
    Sending,
    Slab,
    Tickets,
    TokenPredictor,
    Traffic,
)

WAITED_NS, SENT, ANSWERED, FAILED = range(4)
NOW_NS = 1_000_000_000_000
SECOND = 1_000_000_000


class Scene:
    """A gate of two, a limit of one request a second, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.now_ns = NOW_NS
        self.waited: list[Sending] = []
        limiter = Limiter(mmap.mmap(-1, Limiter.bytes_needed(1)), 0, 1)
        limiter.configure(0, REQUESTS, 1, SECOND, 1, 0, NOW_NS - 10 * SECOND)
        self.slab = Slab(mmap.mmap(-1, Slab.bytes_needed(4, 1)), 0, 4, 1)
        self.gate, self.tickets = Gate(2), Tickets(limiter, self.clock)
        self.traffic = Traffic(
            self.gate,
            self.tickets,
            self.slab,
            TokenPredictor(),
            (WAITED_NS, SENT, ANSWERED, 0),
            self.clock,
            self.wait,
        )

    def clock(self) -> int:
        return self.now_ns

    def wait(self, sending: Sending) -> asyncio.Future[None]:
        self.waited.append(sending)
        return asyncio.get_running_loop().create_future()

    def sending(self) -> Sending:
        return Sending(self.traffic, 400, 0)

    def places(self) -> int:
        """How many are free at the gate: they are taken."""
        return sum(self.gate.enter() for _ in range(3))


def test_a_request_that_goes_out_gives_its_place_back_once() -> None:
    scene = Scene()
    sending = scene.sending()
    assert scene.traffic.waiting == 1
    assert sending.enter()
    scene.now_ns += 5
    assert sending.ready() is None
    assert (scene.traffic.waiting, scene.traffic.in_flight) == (0, 1)
    assert (sending.charged_ns, sending.sent_ns) == (NOW_NS + 5, NOW_NS + 5)
    assert (scene.slab.get(WAITED_NS), scene.slab.get(SENT)) == (5, 1)
    sending.ended()
    assert (scene.traffic.waiting, scene.traffic.in_flight) == (0, 0)
    assert scene.places() == 2


def test_a_request_that_never_goes_out_gives_its_place_back_once() -> None:
    scene = Scene()
    entered, outside = scene.sending(), scene.sending()
    assert entered.enter()
    entered.ended()
    outside.ended()  # it never was at the gate
    assert (scene.traffic.waiting, scene.traffic.in_flight) == (0, 0)
    assert (entered.sent_ns, scene.slab.get(SENT)) == (0, 0)
    assert scene.places() == 2


def test_who_waited_at_the_gate_has_a_place_there_too() -> None:
    scene = Scene()
    assert scene.gate.enter()
    sending = scene.sending()
    sending.entered()
    sending.ended()
    assert scene.places() == 2


def test_nobody_enters_once_no_ticket_is_given_any_more() -> None:
    scene = Scene()
    scene.tickets.stopped = True
    assert not scene.sending().enter()
    assert scene.places() == 2


@pytest.mark.parametrize("why", ["stopped", "held", "line", "limit"])
def test_where_no_ticket_is_to_be_had_at_once_it_is_waited_for(why: str) -> None:
    async def main() -> None:
        scene = Scene()
        if why == "limit":
            assert scene.tickets.take(0, 0) == NOW_NS
        elif why == "line":
            scene.tickets.line.append("another")
        else:
            setattr(scene.tickets, why, True)
        sending = scene.sending()
        waiting = sending.ready()
        assert isinstance(waiting, asyncio.Future)
        assert scene.waited == [sending]
        assert (scene.traffic.waiting, sending.sent_ns) == (1, 0)
        sending.go(NOW_NS + 1, NOW_NS + 2)
        assert (sending.charged_ns, sending.sent_ns) == (NOW_NS + 1, NOW_NS + 2)
        assert (scene.traffic.waiting, scene.traffic.in_flight) == (0, 1)
        assert scene.slab.get(WAITED_NS) == 2, "up to its sending"

    asyncio.run(main())


@pytest.mark.parametrize("resource", [INPUT_TOKENS, OUTPUT_TOKENS])
def test_a_ticket_is_charged_for_what_goes_in_and_for_what_comes_out(resource: int) -> None:
    limiter = Limiter(mmap.mmap(-1, Limiter.bytes_needed(1)), 0, 1)
    limiter.configure(0, resource, 100, SECOND, 100, 0, 0)
    tickets = Tickets(limiter, lambda: NOW_NS)
    assert tickets.take(50, 50) == NOW_NS
    assert tickets.take(50, 50) == NOW_NS
    assert tickets.take(50, 50) == 0


def test_a_request_knows_whether_it_was_alone() -> None:
    scene = Scene()
    first, second = scene.sending(), scene.sending()
    first.go(1, 1)
    second.go(1, 1)
    assert (first.alone, second.alone) == (True, False)


def test_a_purse_is_told_of_what_goes_out_alone() -> None:
    class Purse:
        def __init__(self) -> None:
            self.told: list[int] = []

        def sent(self, amount: int) -> None:
            self.told.append(amount)

    scene, purse = Scene(), Purse()
    sending = scene.sending()
    sending.pay(purse, 77)
    assert (sending.purse, sending.held_pusd) == (purse, 77)
    assert purse.told == []
    sending.go(1, 1)
    assert purse.told == [77]


def test_an_answer_is_counted_and_learned_from() -> None:
    scene = Scene()
    sending = scene.sending()
    sending.go(NOW_NS + 1_000_000, NOW_NS + 2_000_000)
    sending.answered(NOW_NS + 2_000_000, NOW_NS + 5_000_000, 100, 7)
    traffic = scene.traffic
    assert (traffic.answers, traffic.answers_ns, traffic.output_tokens) == (1, 3_000_000, 7)
    assert (scene.slab.get(ANSWERED), scene.slab.total(0)) == (1, 3000)
    assert traffic.predictor.predict(400, 0) == (100, 7)


def test_a_failure_is_counted_and_nothing_is_learned_from_it() -> None:
    scene = Scene()
    before = scene.traffic.predictor.predict(400, 0)
    sent, unsent = scene.sending(), scene.sending()
    sent.go(NOW_NS, NOW_NS)
    sent.unanswered(FAILED, NOW_NS, NOW_NS + 3_000_000)
    unsent.unanswered(FAILED, 0, NOW_NS)
    assert (scene.traffic.answers, scene.traffic.output_tokens) == (0, 0)
    assert (scene.slab.get(FAILED), scene.slab.total(0)) == (2, 3000)
    assert scene.traffic.predictor.predict(400, 0) == before
