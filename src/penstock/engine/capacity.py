"""How much a job's endpoints take, each by itself and together: places, slots and workers.

A place is one request that may be in flight at an endpoint; a worker has a slot for each place that
is its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from penstock.endpoints import Endpoint
from penstock.engine import limits
from penstock.job import DEFAULT_CONCURRENCY, MOST_SLOTS, Job


def places_of(endpoints: Sequence[Endpoint]) -> list[int]:
    """The places of each endpoint: as told, else what its rate needs.

    Those of endpoints that say neither are shared out by weight.
    """
    free = [one for one in endpoints if is_unlimited(one.job)]
    weights = sum(one.weight for one in free)
    return [
        max(1, round(DEFAULT_CONCURRENCY * len(free) * one.weight / weights))
        if one in free
        else limits.concurrency(one.job)
        for one in endpoints
    ]


def is_unlimited(job: Job) -> bool:
    """Whether nothing says how many requests an endpoint takes."""
    return job.max_concurrency is None and limits.request_rate(job) is None


def slots_of(endpoints: Sequence[Endpoint]) -> int:
    """Slots over all workers."""
    return min(MOST_SLOTS, sum(places_of(endpoints)))


def workers_of(endpoints: Sequence[Endpoint], cores: int) -> int:
    """Worker processes: as told, else by cores, rate and slots."""
    rates = [limits.request_rate(one.job) for one in endpoints]
    known = [rate for rate in rates if rate is not None]
    rate = sum(known) if len(known) == len(rates) else None
    return limits.workers_for(endpoints[0].job.workers, slots_of(endpoints), rate, cores)


def shares(places: Sequence[int], workers: int) -> list[list[int]]:
    """For each worker its places at each endpoint, dealt so that all have as many in all."""
    dealt = [[0] * len(places) for _ in range(workers)]
    turn = 0
    for endpoint, count in enumerate(places):
        for worker in range(workers):
            dealt[(turn + worker) % workers][endpoint] = limits.share(count, workers)[worker]
        turn = (turn + count) % workers
    return dealt
