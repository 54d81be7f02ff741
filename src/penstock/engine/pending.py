"""A record on its way through a worker, and what has happened to it so far."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.ledger.mark import ShardMark
from penstock.providers.provider import Answer, Request
from penstock.record import Record


class Route(msgspec.Struct, gc=False, eq=False):
    """What is known of a record's way among several endpoints."""

    shunned: int = -1  # the endpoint that failed or throttled it last
    held_ns: int = 0  # until when it is not to be asked there again
    home: int = -1  # the endpoint that has its prefix
    home_until_ns: int = 0  # how long it waits for a place there


class Pending(msgspec.Struct, gc=False, eq=False):
    """A record that was leased and has not ended."""

    record: Record
    shard: ShardMark
    request: Request | None = None
    more: tuple[dict[str, Any], ...] = ()  # messages after the record's own; see Provider.request
    attempts: int = 0  # that count against --max-attempts
    attached: Record | None = None  # with its images and files, until its request is made
    known_as: str | None = None  # the hash of its first request, where that is not at hand
    invalid: int = 0  # answers that did not match the schema; attempts too
    spent: Answer | None = None  # the tokens of those answers, summed
    failed_ns: int = 0  # when a transport failure or a 5xx was first seen
    throttles: int = 0  # in a row
    throttles_alone: int = 0  # of those, with nothing else in flight
    probing: bool = False  # on its way to see whether the endpoint is back
    first_ns: int = 0  # when a slot first took it
    lane: int = 0  # the endpoint that it is to be asked at, or was last asked at: its index
    failed_at: int = 0  # the endpoints whose failure it has seen, a bit for each
    cost_pusd: int | None = None  # picodollars, of all attempts so far; None: not known of any
    route: Route | None = None  # where there are several endpoints
