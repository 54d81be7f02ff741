"""A record on its way through a worker, and what has happened to it so far."""

from __future__ import annotations

from penstock.ledger.mark import ShardMark
from penstock.providers.provider import Request
from penstock.record import Record


class Pending:
    """A record that was leased and has not ended."""

    __slots__ = (
        "attempts",
        "failed_ns",
        "first_ns",
        "probing",
        "record",
        "request",
        "shard",
        "throttles",
        "throttles_alone",
    )

    def __init__(self, record: Record, shard: ShardMark) -> None:
        self.record = record
        self.shard = shard
        self.request: Request | None = None
        self.attempts = 0  # that count against --max-attempts
        self.failed_ns = 0  # when a transport failure or a 5xx was first seen
        self.throttles = 0  # in a row
        self.throttles_alone = 0  # of those, with nothing else in flight
        self.probing = False  # on its way to see whether the endpoint is back
        self.first_ns = 0  # when a slot first took it
