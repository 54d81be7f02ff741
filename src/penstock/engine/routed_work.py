"""The way of a record inside a worker whose job has several endpoints.

What one endpoint does is Work's; here is which one a record is asked at. It is bound to one only
when that has a place for it, and to another one after each failure; one that is down, paused or
has refused for good is left alone. While another lives, a failure costs a record none of its
attempts unless that endpoint had failed it before, and the one that is down is probed with fresh
records alone, and only while there are more to come: those at a run's end have no time for it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec

from penstock._core import monotonic_ns
from penstock.engine import retry, routing
from penstock.engine.attempt import Attempt
from penstock.engine.lane import Lane
from penstock.engine.pending import Pending, Route
from penstock.engine.work import SECOND_NS, Work, failed
from penstock.providers.provider import Request

# A pause of an endpoint sends away those that wait there for a ticket, if it is as long as this.
LONG_PAUSE_NS = SECOND_NS
LOOK_AGAIN_NS = 25_000_000  # for a place at the endpoint that has a record's prefix


class RoutedWork(Work):
    """The queue, the heap and the slots of a worker with several lanes."""

    def __init__(self, *, affinity_bytes: int, **named: Any) -> None:
        super().__init__(**named)
        self._affinity_bytes = affinity_bytes
        self._waking = False
        self._turn = 0.0
        for lane in self._lanes:
            lane.asker.traffic.gate.on_leave = self.wake

    @property
    def down(self) -> bool:
        """Whether no endpoint may answer."""
        return not any(lane.lives for lane in self._lanes)

    def wake(self) -> None:
        """A place became free: hand a record to an idle slot after this turn of the loop."""
        if self._idle and not self._waking:
            self._waking = True
            self._loop.call_soon(self._woken)

    def _woken(self) -> None:
        self._waking = False
        self.dispatch()

    def dispatch(self) -> None:
        """See Work; who waits for a ticket where none is to be had soon is sent elsewhere."""
        now_ns = monotonic_ns()
        for lane in self._lanes:
            if lane.asker.pacer.line > lane.probing and self._is_shut(lane, now_ns):
                lane.asker.pacer.divert()
        super().dispatch()

    def _is_shut(self, lane: Lane, now_ns: int) -> bool:
        if not self._others_live(lane):
            return lane.out
        return not lane.lives or lane.limiter.paused_until() - now_ns >= LONG_PAUSE_NS

    def _others_live(self, lane: Lane) -> bool:
        return any(other.lives for other in self._lanes if other is not lane)

    # --- choosing ---------------------------------------------------------------------------------

    def _next(self) -> Pending | None:
        """A due retry, else a fresh record, for an endpoint that has room; None for none."""
        if self._draining or self._ending.congested:
            return None
        now_ns = monotonic_ns()
        living = [lane for lane in self._lanes if lane.lives]
        if (probe := self._next_probe(now_ns, bool(living))) is not None:
            return probe
        standings = [lane.standing(self._turn) for lane in living if lane.open(now_ns)]
        if not standings:
            return None
        failures = min(lane.limiter.failures_in_a_row() for lane in living)
        fresh_first = failures and self._queue and self.room
        if not fresh_first and (due := self._due_retry(now_ns, standings, len(living))):
            return due
        return self._fresh(now_ns, standings, len(living))

    def _next_probe(self, now_ns: int, others_live: bool) -> Pending | None:
        """A record for an endpoint that is down, if it is this worker's turn to try it."""
        if others_live and (self.exhausted or not self._queue):
            return None
        for lane in self._lanes:
            if lane.down and not lane.out and (pending := self._probe(lane, now_ns)) is not None:
                self._bind(pending, lane)
                return pending
        return None

    def _due_retry(
        self, now_ns: int, standings: Sequence[routing.Standing], living: int
    ) -> Pending | None:
        due_ns = self._heap.due_ns()
        if due_ns is None or due_ns > now_ns:
            return None
        pending = self._heap.first()
        index = self._choice(pending, now_ns, standings, living)
        if index < 0:
            return None
        if pending.attempts or route_of(pending).shunned >= 0:  # one that waits for home is none
            if self._budget_ns > now_ns:
                return None
            wait_ns = self._budget.spend(now_ns)
            if wait_ns:
                self._budget_ns = now_ns + wait_ns
                return None
        self._bind(self._heap.pop(), self._lanes[index])
        return pending

    def _fresh(
        self, now_ns: int, standings: Sequence[routing.Standing], living: int
    ) -> Pending | None:
        if not self._queue or not self.room:
            return None
        index = self._choice(self._queue[0], now_ns, standings, living)
        if index < 0:
            return None
        self._budget.fresh += 1
        pending = self._queue.popleft()
        self._bind(pending, self._lanes[index])
        return pending

    def _choice(
        self, pending: Pending, now_ns: int, standings: Sequence[routing.Standing], living: int
    ) -> int:
        """The endpoint for a record; -1 where it has to wait for one."""
        if pending.route is None:
            return routing.choose(standings)
        shunned, home = pending.route.shunned, pending.route.home
        others_live = shunned >= 0 and living > self._lanes[shunned].lives
        may = routing.allowed(standings, shunned, pending.route.held_ns, now_ns, others_live)
        if home >= 0:
            at_home = [one for one in may if one.index == home and one.has_room]
            if at_home or (now_ns < pending.route.home_until_ns and self._lanes[home].lives):
                return routing.choose(at_home)
        return routing.choose(may)

    def _bind(self, pending: Pending, lane: Lane) -> None:
        """Have a record asked for at an endpoint, by a request as that one takes it."""
        if pending.request is not None and pending.known_as is None:
            pending.known_as = pending.request.request_hash
        pending.request, pending.lane = None, lane.index
        lane.starting += 1
        self._turn = lane.take_turn(self._turn)

    # --- serving ----------------------------------------------------------------------------------

    def _begin(self, pending: Pending, cell: int) -> Request | None:
        """See Work; a fresh record may find that another endpoint has its prefix."""
        lane = self._lanes[pending.lane]
        lane.starting -= 1
        self._render = lane.request
        request = super()._begin(pending, cell)
        if request is None or not self._affinity_bytes or pending.probing:
            return request
        return request if route_of(pending).home >= 0 else self._at_home(pending, request)

    def _at_home(self, pending: Pending, request: Request) -> Request | None:
        """A record's request where its prefix is; None where it has to wait for a place there."""
        living = [(lane.index, lane.weight) for lane in self._lanes if lane.lives]
        if not living:
            return request
        route = route_of(pending)
        route.home = routing.home(request.body[: self._affinity_bytes], living)
        if route.home == pending.lane:
            return request
        now_ns, home = monotonic_ns(), self._lanes[route.home]
        may_go = home.open(now_ns) and home.standing(self._turn).has_room
        if may_go and home.asks_as(self._lanes[pending.lane]):
            pending.lane = home.index
            return request
        route.home_until_ns = now_ns + int(routing.AFFINITY_SECONDS * SECOND_NS)
        self._heap.push(now_ns + LOOK_AGAIN_NS, pending)
        return None

    def _refused(self, pending: Pending, lane: Lane, attempt: Attempt) -> None:
        """The endpoint refuses for good: the record goes to another, if there is one."""
        if not lane.out:
            lane.out = True
            self._on_fatal(lane, attempt)
        if not self._draining:
            self._queue.appendleft(pending)

    def _forgives(self, pending: Pending, lane: Lane, attempt: Attempt) -> bool:
        """Whether a failure is no attempt: a record's first at an endpoint, while others live."""
        return not pending.failed_at & lane.bit and failed(attempt) and self._others_live(lane)

    def _again(self, pending: Pending, throttled: bool, decision: retry.Decision) -> None:
        """See Work; where another endpoint lives it is asked soon, however long this one waits."""
        route = route_of(pending)
        route.shunned = pending.lane
        route.held_ns = monotonic_ns() + int(decision.delay_seconds * SECOND_NS)
        if self._others_live(self._lanes[pending.lane]):
            soon = min(decision.delay_seconds, random.random() * retry.FIRST_DELAY_SECONDS)
            decision = msgspec.structs.replace(decision, delay_seconds=soon)
        super()._again(pending, throttled, decision)

    def _set_timer(self) -> None:
        """See Work; a retry that is due already waits for a place, of which it is told."""
        due_ns = self._heap.due_ns()
        if due_ns is not None and due_ns > monotonic_ns():
            super()._set_timer()


def route_of(pending: Pending) -> Route:
    """A record's route, which begins with what goes otherwise than usual."""
    if pending.route is None:
        pending.route = Route()
    return pending.route
