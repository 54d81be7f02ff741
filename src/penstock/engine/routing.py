"""Which endpoint a record goes to: decided from how the endpoints stand, nothing else.

Records go where capacity is. An endpoint that has tickets goes before one where requests wait for
theirs; among equals they take turns by their weights. A record is bound to an endpoint only when
that has a place for it, so that few ever wait for one that is throttled or fails meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import msgspec
import xxhash

# An endpoint with so many requests on their way to it, not sent yet, is given no more: they have
# no ticket, or no connection.
MOST_ON_THE_WAY = 16
# How long a retry whose time has come waits for another endpoint than the one that failed it.
PATIENCE_NS = 1_000_000_000
# How long a record waits for a place at the endpoint that has its prefix.
AFFINITY_SECONDS = 0.5


class Standing(msgspec.Struct, frozen=True):
    """How an endpoint that may be asked stands with a worker."""

    index: int
    busy: int  # requests in flight or on their way
    places: int  # how many may be
    line: int  # requests that wait for their ticket
    on_the_way: int  # requests that are not sent yet
    turn: float  # what it was given so far, by its weight: the least goes first

    @property
    def has_room(self) -> bool:
        """Whether a request more may be on its way there."""
        return self.busy < self.places and self.on_the_way < MOST_ON_THE_WAY


def choose(standings: Sequence[Standing]) -> int:
    """The index of the endpoint for the next record; -1 where none has room."""
    best, least = -1, (True, 0.0)
    for one in standings:
        if not one.has_room:
            continue
        rank = (one.line > 0, one.turn)
        if best < 0 or rank < least:
            best, least = one.index, rank
    return best


def allowed(
    standings: Sequence[Standing], shunned: int, held_ns: int, now_ns: int, others_live: bool
) -> Sequence[Standing]:
    """Those of the endpoints that a record may go to.

    `shunned` is the one that failed or throttled it last (-1: none), and `held_ns` until when it is
    not to be asked there again. While others live it waits a little longer for one of them.
    """
    if shunned < 0:
        return standings
    if now_ns >= held_ns + (PATIENCE_NS if others_live else 0):
        return standings
    return [one for one in standings if one.index != shunned]


def home(prefix: bytes, weights: Sequence[tuple[int, float]]) -> int:
    """The endpoint, of (index, weight) pairs, that requests with a prefix go to.

    Weighted rendezvous hashing: an endpoint that comes or goes moves its own prefixes alone. (J.
    Schindelhauer and G. Schomaker, "Weighted Distributed Hash Tables", SPAA 2005.)
    """
    return min(weights, key=lambda one: distance(prefix, *one))[0]


def distance(prefix: bytes, index: int, weight: float) -> float:
    """How far a prefix is from an endpoint: exponentially distributed, the nearer by its weight."""
    drawn = (xxhash.xxh3_64_intdigest(prefix, seed=index) + 1) / 2.0**64
    return -log(drawn) / weight
