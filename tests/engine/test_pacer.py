"""Tickets in order, for the head of the line alone, and never used when they are void."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from core.worlds import most_in_a_window
from engine.limiters import limiter, limiters
from engine.virtual_time import START_NS, Clock, VirtualLoop
from penstock._core import PAUSED, Limiter
from penstock.engine.limits import HORIZON_NS, NAMES
from penstock.engine.pacer import Diverted, Draining, Pacer

SECOND = 1_000_000_000


class Counting(Limiter):
    """A limiter that remembers what was reserved."""

    def __init__(self, *_: Any) -> None:
        self.reserved: list[tuple[int, int]] = []  # now, due

    def reserve(self, now_ns: int, horizon_ns: int, *tokens: int) -> int:
        due_ns = super().reserve(now_ns, horizon_ns, *tokens)
        self.reserved.append((now_ns, due_ns))
        return due_ns


async def until_held(pacer: Pacer, loop: VirtualLoop) -> None:
    """Wait until the head has a ticket that is not due yet."""
    for _ in range(1000):
        if pacer._due_ns > loop.now_ns:
            return
        await asyncio.sleep(0.0005)
    raise AssertionError("no ticket was taken ahead")


async def take(pacer: Pacer, clock: Clock, sent: list[tuple[int, int]], *tokens: int) -> None:
    await pacer.ticket(*(tokens or (0, 0)))
    sent.append((clock(), max(1, sum(tokens))))


def test_without_limits_no_ticket_waits(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        pacer = Pacer(limiter())
        for _ in range(1000):
            await pacer.ticket(10**6, 10**6)
        assert loop.now_ns == START_NS

    clock.run(main)


def test_tickets_come_in_order_at_the_rate_and_no_window_holds_more_than_the_limit(
    clock: Clock,
) -> None:
    sent: list[tuple[int, int]] = []
    order: list[int] = []

    async def one(pacer: Pacer, number: int) -> None:
        await take(pacer, clock, sent)
        order.append(number)

    async def main(_: VirtualLoop) -> None:
        pacer = Pacer(limiter(rps=50))
        await asyncio.gather(*(one(pacer, number) for number in range(500)))

    clock.run(main)
    assert order == list(range(500))
    assert most_in_a_window(sent, SECOND) <= 50
    assert sent[-1][0] - START_NS < 10.5 * SECOND


def test_the_head_alone_reserves_and_not_beyond_the_horizon(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        counting = limiter(Counting, rps=4)
        pacer = Pacer(counting)
        tasks = [loop.create_task(pacer.ticket(0, 0)) for _ in range(20)]
        await asyncio.gather(*tasks)
        given = [(now, due) for now, due in counting.reserved if due >= 0]
        assert len(given) == 20
        assert all(due - now <= HORIZON_NS for now, due in given)
        for (_, due), (now, _) in pairwise(given):
            assert now >= due, "a ticket was taken while the one before was not used yet"

    clock.run(main)


@pytest.mark.parametrize("rps", [1, 10, 19, 100, 1000])
def test_timers_that_fire_late_cost_no_rate(clock: Clock, rps: int) -> None:
    async def main(loop: VirtualLoop) -> None:
        loop.lateness_ns = 2_000_000
        bucket = limiter(rps=rps)
        pacer = Pacer(bucket)
        await asyncio.gather(*(pacer.ticket(0, 0) for _ in range(4 * rps)))
        began = loop.now_ns
        await asyncio.gather(*(pacer.ticket(0, 0) for _ in range(10 * rps)))
        used = 10 * rps * SECOND / (loop.now_ns - began)
        assert used > 0.995 * bucket.rate(0)

    clock.run(main)


def test_a_ticket_tells_when_it_was_charged(clock: Clock) -> None:
    async def main(_: VirtualLoop) -> None:
        counting = limiter(Counting, rps=10)
        pacer = Pacer(counting)
        for _ in range(5):
            charged_ns = await pacer.ticket(0, 0)
            assert charged_ns == counting.reserved[-1][1] <= clock()

    clock.run(main)


def test_a_ticket_that_a_pause_made_void_is_taken_anew_after_it(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        bucket = limiter(rps=20)
        pacer = Pacer(bucket)
        until = START_NS + 3 * SECOND
        waiting = loop.create_task(pacer.ticket(0, 0))
        await until_held(pacer, loop)
        assert bucket.pause(until)
        charged_ns = await waiting
        assert charged_ns >= until
        assert pacer.voided == 1

    clock.run(main)


def test_a_ticket_that_a_stopped_process_could_not_use_in_time_is_taken_anew(clock: Clock) -> None:
    sent: list[tuple[int, int]] = []

    async def main(loop: VirtualLoop) -> None:
        bucket, other = limiters(2, rps=20)
        pacer, rival = Pacer(bucket), Pacer(other)
        tasks = [loop.create_task(take(pacer, clock, sent)) for _ in range(40)]
        for _ in range(5):
            await until_held(pacer, loop)
            loop.now_ns = pacer._due_ns + SECOND  # SIGSTOP, SIGCONT
            await take(rival, clock, sent)
        await asyncio.gather(*tasks)
        assert pacer.voided == 5

    clock.run(main)
    assert len(sent) == 45
    assert most_in_a_window(sent, SECOND) <= 20


def test_a_ticket_that_is_void_by_the_time_its_request_wakes_is_taken_anew(clock: Clock) -> None:
    """Between the timer that lets it go and the request is a turn of the loop."""

    async def main(loop: VirtualLoop) -> None:
        bucket = limiter(rps=2)
        pacer = Pacer(bucket)
        await pacer.ticket(0, 0)
        second = loop.create_task(pacer.ticket(0, 0))
        await until_held(pacer, loop)

        def stop_and_go_on() -> None:
            loop.now_ns += 5 * SECOND

        loop.lateness_ns = 2_000_000  # both timers fire in one turn
        loop.call_at(pacer._due_ns / 1e9 + 0.001, stop_and_go_on)
        charged_ns = await second
        assert loop.now_ns - charged_ns <= 10_000_000
        assert pacer.voided == 1

    clock.run(main)


def test_after_a_stop_who_waits_and_who_comes_is_sent_away(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        pacer = Pacer(limiter(rpm=1))
        await asyncio.sleep(60)
        await pacer.ticket(0, 0)
        waiting = [loop.create_task(pacer.ticket(0, 0)) for _ in range(3)]
        await asyncio.sleep(0.001)
        pacer.stop()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in results] == [Draining] * 3
        with pytest.raises(Draining):
            await pacer.ticket(0, 0)

    clock.run(main)


def test_after_a_stop_not_even_a_free_ticket_is_given(clock: Clock) -> None:
    async def main(_: VirtualLoop) -> None:
        pacer = Pacer(limiter())
        assert pacer.take(0, 0)
        pacer.hold()
        pacer.stop()
        assert pacer.take(0, 0) == 0
        pacer.release()  # another key came, too late
        assert pacer.take(0, 0) == 0

    clock.run(main)


def test_a_wait_that_became_shorter_is_noticed_within_half_a_second(clock: Clock) -> None:
    """Another worker's answer used less than it was charged for."""

    async def main(loop: VirtualLoop) -> None:
        bucket = limiter(tpm=60_000)
        await asyncio.sleep(120)
        charged_ns = bucket.reserve(loop.now_ns, 0, 15_000, 0)
        assert charged_ns == loop.now_ns
        bucket.settle(charged_ns, loop.now_ns, 0, 0, 45_000, 0)
        waiting = loop.create_task(Pacer(bucket).ticket(10_000, 0))
        await asyncio.sleep(0.1)
        bucket.settle(charged_ns, loop.now_ns, 45_000, 0, 0, 0)
        await asyncio.sleep(0)
        due_ns = bucket.reserve(loop.now_ns, 0, 10_000, 0)
        assert due_ns < 0
        await waiting
        assert loop.now_ns - START_NS - 120 * SECOND < -due_ns + SECOND

    clock.run(main)


@pytest.mark.parametrize("leaving", [(0,), (1,), (0, 1, 2), (2, 4), (0, 1, 2, 3, 4)])
def test_who_is_cancelled_leaves_the_line_and_holds_up_nobody(
    clock: Clock, leaving: tuple[int, ...]
) -> None:
    async def main(loop: VirtualLoop) -> None:
        pacer = Pacer(limiter(rps=2))
        tasks = [loop.create_task(pacer.ticket(0, 0)) for _ in range(5)]
        await asyncio.sleep(0.001)
        for number in leaving:
            tasks[number].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        gone = [n for n, one in enumerate(results) if isinstance(one, asyncio.CancelledError)]
        assert gone == list(leaving)
        await pacer.ticket(0, 0)
        assert loop.now_ns - START_NS < 5 * SECOND

    clock.run(main)


def test_the_ticket_of_a_head_that_was_cancelled_is_not_the_next_ones(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        counting = limiter(Counting, tpm=60_000)
        pacer = Pacer(counting)
        small = loop.create_task(pacer.ticket(5, 0))
        large = loop.create_task(pacer.ticket(5000, 0))
        await until_held(pacer, loop)
        small.cancel()
        given = sum(due >= 0 for _, due in counting.reserved)
        await large
        assert sum(due >= 0 for _, due in counting.reserved) == given + 1
        assert loop.now_ns - START_NS > 4 * SECOND

    clock.run(main)


def test_a_line_that_empties_and_fills_again_is_driven_by_one_timer(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        counting = limiter(Counting, rpm=1)
        pacer = Pacer(counting)
        for _ in range(50):
            task = loop.create_task(pacer.ticket(0, 0))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        began, tried = loop.now_ns, len(counting.reserved)
        await pacer.ticket(0, 0)
        looks = len(counting.reserved) - tried
        assert looks <= 2 * (loop.now_ns - began) / SECOND + 5  # twice a second, as from one timer

    clock.run(main)


def test_two_workers_share_one_rate_and_neither_goes_without(clock: Clock) -> None:
    sents: list[list[tuple[int, int]]] = [[], []]

    async def worker(pacer: Pacer, sent: list[tuple[int, int]]) -> None:
        for _ in range(400):
            await take(pacer, clock, sent)

    async def main(_: VirtualLoop) -> None:
        pacers = [Pacer(one) for one in limiters(2, rps=100)]
        workers = [worker(pacer, sent) for pacer, sent in zip(pacers, sents, strict=True)]
        await asyncio.gather(*workers)

    clock.run(main)
    assert most_in_a_window(sents[0] + sents[1], SECOND) <= 100
    last = max(sent[-1][0] for sent in sents)
    assert last - START_NS < 8.4 * SECOND
    first_half = [sum(at < START_NS + 4 * SECOND for at, _ in sent) for sent in sents]
    assert min(first_half) >= 0.25 * sum(first_half)


def test_a_large_record_gets_its_turn_beside_many_small_ones_of_its_worker(clock: Clock) -> None:
    sent: list[tuple[int, int]] = []

    async def main(_: VirtualLoop) -> None:
        pacer = Pacer(limiters(1, largest_tokens=1000, tpm=60_000)[0])
        costs = [(20, 5)] * 100 + [(9000, 1000)] + [(20, 5)] * 100
        await asyncio.gather(*(take(pacer, clock, sent, *cost) for cost in costs))

    clock.run(main)
    assert [cost for _, cost in sent].index(10_000) == 100
    assert most_in_a_window(sent, 60 * SECOND) <= 60_000


@pytest.mark.parametrize(
    ("setup", "blocking"),
    [
        (lambda one: None, NAMES.index("tpm")),
        (lambda one: one.pause(START_NS + 600 * SECOND), PAUSED),
    ],
)
def test_it_knows_what_the_head_waits_for(
    clock: Clock, setup: Callable[[Limiter], None], blocking: int
) -> None:
    async def main(loop: VirtualLoop) -> None:
        bucket = limiter(rps=1000, tpm=60)
        pacer = Pacer(bucket)
        setup(bucket)
        assert pacer.blocking == -1
        task = loop.create_task(pacer.ticket(5, 5))
        await asyncio.sleep(0.01)
        assert pacer.blocking == blocking
        task.cancel()

    clock.run(main)


def test_who_comes_later_and_needs_less_does_not_pass_the_head(clock: Clock) -> None:
    sent: list[tuple[int, int]] = []

    async def main(loop: VirtualLoop) -> None:
        pacer = Pacer(limiters(1, largest_tokens=1000, tpm=60_000)[0])
        large = loop.create_task(take(pacer, clock, sent, 9000, 1000))
        await asyncio.sleep(5)
        assert not sent, "it waits"
        await take(pacer, clock, sent, 20, 5)
        await large

    clock.run(main)
    assert [cost for _, cost in sent] == [10_000, 25]


def test_a_ticket_is_not_used_before_it_is_due_though_a_timer_fires_early(clock: Clock) -> None:
    """libuv's timers count whole milliseconds, from a time that it read before."""
    sent: list[tuple[int, int]] = []

    async def main(loop: VirtualLoop) -> None:
        call_later = loop.call_later
        loop.call_later = lambda delay, *call: call_later(delay / 2, *call)  # type: ignore[method-assign]
        counting = limiter(Counting, rps=20)
        pacer = Pacer(counting)
        for _ in range(20):
            due_ns = await pacer.ticket(0, 0)
            sent.append((clock(), 1))
            assert clock() >= due_ns

    clock.run(main)
    assert most_in_a_window(sent, SECOND) <= 20


def test_no_ticket_is_taken_further_ahead_than_the_horizon(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        counting = limiter(Counting, rps=10)
        pacer = Pacer(counting)
        await asyncio.gather(*(pacer.ticket(0, 0) for _ in range(8)))
        ahead = [due - now for now, due in counting.reserved if due >= 0]
        assert 0 < max(ahead) <= HORIZON_NS

    clock.run(main)


def test_while_it_is_held_nobody_gets_a_ticket_and_then_all_do_in_order(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        pacer = Pacer(limiter(rps=100))
        order: list[int] = []

        async def one(number: int) -> None:
            await pacer.ticket(0, 0)
            order.append(number)

        await asyncio.sleep(1)
        assert pacer.take(0, 0)
        await asyncio.sleep(1)  # a ticket is there
        pacer.hold()
        assert not pacer.take(0, 0)
        tasks = [loop.create_task(one(number)) for number in range(9)]
        await asyncio.sleep(30)
        assert order == [] and pacer.line == 9
        pacer.release()
        await asyncio.gather(*tasks)
        assert order == list(range(9)) and pacer.line == 0
        await asyncio.sleep(1)
        assert pacer.take(0, 0)

    clock.run(main)


def test_who_is_diverted_leaves_the_line_and_others_may_come(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        pacer = Pacer(limiter(rpm=1))
        tasks = [loop.create_task(pacer.ticket(0, 0)) for _ in range(3)]
        await asyncio.sleep(1)
        pacer.divert()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(one) for one in results} == {Diverted}
        assert pacer.line == 0
        await asyncio.wait_for(pacer.ticket(0, 0), 130)

    clock.run(main)
