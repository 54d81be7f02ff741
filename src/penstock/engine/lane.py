"""A lane: one endpoint as a worker has it, with the way there and what is known of its health.

A worker has one for each endpoint of its job. What all workers must know of an endpoint is in its
limiter: the failures in a row that make it count as down, its pauses, whose turn a probe is.
"""

from __future__ import annotations

from collections.abc import Sequence

from penstock._core import Limiter, monotonic_ns
from penstock.engine import retry
from penstock.engine.asker import Asker
from penstock.engine.attempt import Attempt
from penstock.engine.limits import Bucket
from penstock.engine.pending import Pending
from penstock.providers.provider import Provider

THROTTLES_ALONE = 2  # then a record that the limit can't hold is a dead letter `exceeds_limit`
SECOND_NS = 1_000_000_000


class Lane:
    """One endpoint; `slots` are the worker's own."""

    def __init__(
        self,
        index: int,
        name: str,
        provider: Provider,
        asker: Asker,
        limiter: Limiter,
        buckets: Sequence[Bucket],
        slots: int,
    ) -> None:
        self.index = index
        self.name = name
        self.provider = provider
        self.asker = asker
        self.limiter = limiter
        self.buckets = buckets
        self.pauses = retry.Pauses()
        self.probing = 0  # requests on their way to see whether it is back
        self.most_probing = max(1, int(slots * retry.PROBING_SHARE))
        self.down_since_ns = 0  # as this worker saw it; 0 while it is up
        self.answered_sent_ns = 0  # when the newest request that was answered was sent
        limits = [bucket.limit for bucket in buckets if bucket.name in ("tpm", "input_tpm")]
        self._token_limit = min(limits, default=0)

    @property
    def down(self) -> bool:
        """Whether the endpoint is down, as all workers together found."""
        return self.limiter.failures_in_a_row() >= retry.FAILURES_UNTIL_DOWN

    def note_answered(self, attempt: Attempt) -> None:
        """It answered, be it with a refusal."""
        self.limiter.record_success()
        sent_ns = monotonic_ns() - took_ns(attempt)
        if sent_ns > self.answered_sent_ns:
            self.answered_sent_ns = sent_ns

    def note_throttled(self, in_a_row: int, wait_seconds: float | None, attempt: Attempt) -> None:
        """It said "slow down": pause it, where that is not a matter of this one request."""
        now_ns = monotonic_ns()
        sent_ns = now_ns - took_ns(attempt)
        pause = self.pauses.next_seconds(in_a_row, wait_seconds, sent_ns, now_ns)
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
        if not self._token_limit or not attempt.alone or pending.request is None:
            return False
        if attempt.verdict.error_class != "rate_limit":
            return False
        if pending.request.input_tokens <= self._token_limit:
            return False
        pending.throttles_alone += 1
        return pending.throttles_alone >= THROTTLES_ALONE


def took_ns(attempt: Attempt) -> int:
    """From the request's first byte to the answer's last."""
    return int((attempt.latency_seconds or 0.0) * SECOND_NS)
