"""The way of records inside a worker that asks for vectors: many in one request.

A slot takes a record and, with it, those behind it that are there: it waits for none. From then on
they go together, whole, through every retry. A request that is refused, or that has used up its
attempts, is halved, and both parts are asked again, until the record that it is about is alone: it
is a dead letter then, and all others have their vectors. Of n records that takes at most 2n - 1
requests, with one to blame about twice the logarithm of n; and none of it counts against
--max-attempts.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

from penstock.engine import grouping, retry
from penstock.engine.attempt import Attempt
from penstock.engine.group import Doubt, Group, part_of
from penstock.engine.grouping import Most, RowsAtOnce
from penstock.engine.lane import Lane
from penstock.engine.pending import Pending
from penstock.engine.routed_work import RoutedWork
from penstock.engine.work import Work
from penstock.ledger.mark import ShardMark
from penstock.providers.embedder import EmbeddingProvider
from penstock.providers.provider import Request
from penstock.record import Record

# Answers of twice as many records are as much too large.
TOO_LARGE: Final = "response_too_large"


class GroupedWork(Work):
    """The queue, the heap and the slots of a worker that asks for many records at once."""

    def __init__(self, *, most: Most, **named: Any) -> None:
        super().__init__(**named)
        self.rows_at_once = most.rows
        self._size = RowsAtOnce(most.rows)
        self._most_tokens = most.tokens

    @property
    def taken_up(self) -> int:
        """See Work; a slot that is busy has all that it could have."""
        return len(self._queue) + self._busy * self.rows_at_once

    def add(self, records: Iterable[Record], shard: ShardMark) -> None:
        """See Work."""
        self._queue.extend(Group(record, shard) for record in records)
        self.dispatch()

    # --- forming a group --------------------------------------------------------------------------

    def _take(self) -> Pending | None:
        """See Work; those that go with a record leave the queue with it, before others are taken.

        A probe goes alone: there is no need to ask a server that is down for more.
        """
        pending = self._next()
        if pending is None:
            return None
        group = cast(Group, pending)
        if not group.formed:
            group.others = [] if group.probing else self._gathered(self._size.rows - 1)
        self._busy += 1
        if self.taken_up < self.enough:
            self._on_taken()
        return group

    def _gathered(self, most: int) -> list[Group]:
        """Fresh records from the head of the queue."""
        queue = self._queue
        found: list[Group] = []
        while queue and len(found) < most and not cast(Group, queue[0]).formed:
            found.append(cast(Group, queue.popleft()))
        return found

    def _begin(self, pending: Pending, cell: int) -> Request | None:
        """See Work: one request for a record and those with it; None where the first one ended.

        Those for which there is no room in it go back to where they were.
        """
        group = cast(Group, pending)
        others, was_formed = group.others, group.formed
        first = super()._begin(pending, cell)
        if first is None:
            self._put_back(group, others, was_formed)
            return None
        lane = self._lanes[group.lane]
        room = Room(self._most_tokens_at(lane), lane)
        room.take(first)
        requests, group.others, group.formed = [first], [], True
        for place, other in enumerate(others):
            request = self._begin_other(group, other, cell)
            if request is None:
                continue
            if not room.take(request):
                self._put_back(group, others[place:], was_formed)
                break
            group.others.append(other)
            requests.append(request)
        self._slab.set(cell, group.record.row + 1)
        group.request = cast(EmbeddingProvider, lane.provider).joined(requests)
        return group.request

    def _begin_other(self, group: Group, other: Group, cell: int) -> Request | None:
        """The request of a record that goes with others; None where it has ended."""
        self._slab.set(cell, other.record.row + 1)  # before anything that the row could break
        other.lane = group.lane
        other.forget_request()
        return Work._begin(self, other, cell)  # the lane knows of the first one

    def _most_tokens_at(self, lane: Lane) -> int:
        """The most tokens of one request, by the limits that an endpoint has named, too."""
        if not lane.token_limit:
            return self._most_tokens
        return min(self._most_tokens, grouping.within_limit(lane.token_limit))

    def _put_back(self, whole: Group, members: Sequence[Group], was_formed: bool) -> None:
        """Put members that don't go with the others before what is in the queue."""
        if not members:
            return
        for member in members:
            member.forget_request()
        if was_formed:
            self._queue.appendleft(part_of(whole, members, None))
        else:
            self._queue.extendleft(reversed(members))
        self.dispatch()

    # --- taking it apart --------------------------------------------------------------------------

    def _give_up(self, pending: Pending, attempt: Attempt, error_class: str) -> None:
        """See Work; of several records it is not known which one is meant: both halves are asked.

        At once where the server says what it does not take, and else after a while.
        """
        group = cast(Group, pending)
        if not group.others:
            super()._give_up(pending, attempt, error_class)
            return
        parts = grouping.halves(group.members)
        doubt = Doubt(len(parts[0]))
        if error_class == TOO_LARGE:
            self._size.too_many(len(parts[0]))
        group.share_cost(group.weights())
        group.forget_request()
        group.invalid += 1  # an attempt that counts for nobody's --max-attempts
        made = [part_of(group, part, doubt) for part in reversed(parts)]
        if attempt.verdict.kind == "rejected":
            self._queue.extendleft(made)
            self.dispatch()
            return
        delay = retry.backoff(group.attempts, None, random.random())
        for part in made:
            self._put_off(part, delay)

    def _follow(self, pending: Pending, lane: Lane, attempt: Attempt) -> None:
        """See Work; of what is answered it is noted how many records it had."""
        if attempt.verdict.kind == "succeeded":
            group = cast(Group, pending)
            self._size.answered(1 + len(group.others))
            if (doubt := group.doubt) is not None:
                doubt.answered += 1
                if doubt.answered == 2:
                    self._size.too_many(doubt.rows)
        super()._follow(pending, lane, attempt)


class Room:
    """What is left of a request's room while it is filled."""

    def __init__(self, tokens: int, lane: Lane) -> None:
        self._tokens = tokens
        self._bytes = grouping.MOST_BYTES
        self._predict = lane.asker.traffic.predictor.predict

    def take(self, request: Request) -> bool:
        """Whether there is room for what a record asks; the first one always goes."""
        self._tokens -= self._predict(request.weight_bytes, 0)[0]
        self._bytes -= request.weight_bytes
        return self._tokens >= 0 and self._bytes >= 0


class RoutedGroupedWork(GroupedWork, RoutedWork):
    """The same for several endpoints."""
