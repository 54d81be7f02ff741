"""A lane: one endpoint as a worker has it, with the way there and what is known of its health.

A worker has one for each endpoint of its job. What all workers must know of an endpoint is in its
limiter: the failures in a row that make it count as down, its pauses, whose turn a probe is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from penstock._core import Limiter, Slab, monotonic_ns
from penstock.engine import retry
from penstock.engine.asker import Asker
from penstock.engine.attempt import Attempt
from penstock.engine.limits import NAMES, Bucket
from penstock.engine.meter import COUNTERS, M
from penstock.engine.pending import Pending
from penstock.engine.routing import Standing
from penstock.providers.provider import Provider, Request
from penstock.record import Record

THROTTLES_ALONE = 2  # then a record that the limit can't hold is a dead letter `exceeds_limit`
SECOND_NS = 1_000_000_000
CLOSED_NS = 500_000_000  # a place whose request was throttled
PACED = NAMES.index("rps")  # the bucket that a rate which was found bounds


class Lane:
    """One endpoint, at which the worker has so many `slots`.

    `dialect` is what its requests depend on; `of_first` makes those of the job's first endpoint,
    where this one is asked otherwise.
    """

    def __init__(
        self,
        index: int,
        name: str,
        provider: Provider,
        asker: Asker,
        limiter: Limiter,
        buckets: Sequence[Bucket],
        slots: int,
        *,
        weight: float = 1.0,
        dialect: Sequence[str | None] = (),
        of_first: Provider | None = None,
        out: bool = False,
    ) -> None:
        self.index = index
        self.bit = 1 << index
        self.name = name
        self.provider = provider
        self.asker = asker
        self.limiter = limiter
        self.buckets = buckets
        self.weight = weight
        self.dialect = dialect
        self.places = slots  # requests that may be in flight there now
        self._most = slots
        self._granted = slots
        self._closed: deque[int] = deque()  # until when a place is, each because of a throttle
        self._is_granted = False
        self._metered = (0, 0, 0)
        self._throttles = self._errors = 0
        self.out = out  # it refused for good
        self.starting = 0  # records that are to be asked for there, and have no request yet
        self.turn = 0.0  # what it was given so far, by its weight
        self._of_first = of_first
        self.pauses = retry.Pauses()
        self.probing = 0  # requests on their way to see whether it is back
        self.down_since_ns = 0  # as this worker saw it; 0 while it is up
        self.answered_sent_ns = 0  # when the newest request that was answered was sent
        self.token_limit = min(
            (one.limit for one in buckets if one.limit and one.name in ("tpm", "input_tpm")),
            default=0,
        )

    @property
    def down(self) -> bool:
        """Whether the endpoint is down, as all workers together found."""
        return self.limiter.failures_in_a_row() >= retry.FAILURES_UNTIL_DOWN

    @property
    def lives(self) -> bool:
        """Whether it may answer: that it is paused, or full, is no matter."""
        return not self.out and not self.down

    @property
    def most_probing(self) -> int:
        """How many of its places may be waiting to see whether it is back."""
        return max(1, int(self._granted * retry.PROBING_SHARE))

    @property
    def is_held(self) -> bool:
        """Whether all places are taken, so that no more requests can go there."""
        traffic = self.asker.traffic
        return traffic.in_flight + traffic.waiting + self.starting >= self.places

    def grant(self, places: int | None, now_ns: int) -> None:
        """Have so many places from now on; places that throttles closed open in time."""
        if places is not None:
            self._granted, self._is_granted = min(places, self._most), True
        closed = self._closed
        while closed and closed[0] <= now_ns:
            closed.popleft()
        self.places = max(0, self._granted - len(closed))

    def close_place(self) -> None:
        """Leave the place of a throttled request empty for a moment.

        Its next one would be throttled as well, at once, until it is decided how many places are
        right; so that the throttles until then are no more than the places that are too many.
        """
        self._throttles += 1
        if self._is_granted:
            self._closed.append(monotonic_ns() + CLOSED_NS)
            self.places = max(0, self._granted - len(self._closed))

    def note_error(self) -> None:
        """It failed, or was not reached."""
        self._errors += 1

    def write_meter(self, meter: Slab, elapsed_ns: int, *, wants: bool) -> None:
        """Tell what was counted since the last time; `wants`: records wait to be asked for."""
        pacer, traffic = self.asker.pacer, self.asker.traffic
        counted = (traffic.answers, traffic.answers_ns, traffic.output_tokens)
        answers, answers_ns, tokens = (
            now - then for now, then in zip(counted, self._metered, strict=True)
        )
        self._metered = counted
        paced = pacer.line and pacer.blocking == PACED
        held = wants and not pacer.line and self.is_held
        spent = (elapsed_ns if held else 0, elapsed_ns if paced else 0)
        meter.add_each(
            COUNTERS, (answers, self._throttles, self._errors, answers_ns, tokens, *spent)
        )
        self._throttles = self._errors = 0
        meter.set(M.IN_FLIGHT, traffic.in_flight)

    def open(self, now_ns: int) -> bool:
        """Whether requests may go there now."""
        paused = self.asker.pacer.held or self.limiter.paused_until() > now_ns
        return self.lives and not paused

    def standing(self, turn: float) -> Standing:
        """How it stands, for a choice among endpoints of which the last one had its `turn`.

        One that could not be asked for a while does not make up for it.
        """
        traffic = self.asker.traffic
        on_the_way = self.starting + traffic.waiting
        return Standing(
            self.index,
            traffic.in_flight + on_the_way,
            self.places,
            self.asker.pacer.line,
            on_the_way,
            max(self.turn, turn),
        )

    def take_turn(self, turn: float) -> float:
        """It is given a record, after one that had its `turn`; returns what turn it was."""
        turn = max(self.turn, turn)
        self.turn = turn + 1.0 / self.weight
        return turn

    def request(self, record: Record, more: Sequence[dict[str, Any]]) -> Request:
        """See Provider: a request is known by that to the first endpoint, whichever is asked."""
        request = self.provider.request(record, more)
        if self._of_first is None:
            return request
        known_by = self._of_first.request(record, more).request_hash
        return msgspec.structs.replace(request, request_hash=known_by)

    def asks_as(self, other: Lane) -> bool:
        """Whether its requests are those of another."""
        return self.dialect == other.dialect

    def note_answered(self, attempt: Attempt) -> None:
        """It answered, be it with a refusal."""
        self.limiter.record_success()
        if attempt.sent_ns > self.answered_sent_ns:
            self.answered_sent_ns = attempt.sent_ns

    def note_throttled(self, in_a_row: int, wait_seconds: float | None, attempt: Attempt) -> None:
        """It said "slow down": pause it, where that is not a matter of this one request."""
        now_ns = monotonic_ns()
        pause = self.pauses.next_seconds(in_a_row, wait_seconds, attempt.sent_ns, now_ns)
        if pause:
            self.limiter.pause(now_ns + int(pause * SECOND_NS))

    def gives_up(self, reached: bool) -> bool:
        """Whether it has been down for so long that failures, where it was `reached`, may count."""
        if not self.down:
            self.down_since_ns = 0
            return False
        now_ns = monotonic_ns()
        self.down_since_ns = self.down_since_ns or now_ns
        return reached and now_ns - self.down_since_ns >= retry.GIVE_UP_NS

    def exceeds_limit(self, pending: Pending, attempt: Attempt) -> bool:
        """Whether the record is larger than the limit: then it pauses nothing, and ends."""
        if not self.token_limit or not attempt.alone or pending.request is None:
            return False
        if attempt.verdict.error_class != "rate_limit":
            return False
        if pending.request.input_tokens <= self.token_limit:
            return False
        pending.throttles_alone += 1
        return pending.throttles_alone >= THROTTLES_ALONE
