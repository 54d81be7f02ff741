"""How much a job's endpoints take, each by itself and together: places, slots and workers.

A place is one request that may be in flight at an endpoint; a worker has a slot for each place that
is its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from penstock.endpoints import Endpoint
from penstock.engine import limits
from penstock.job import MOST_SLOTS, Job


def places_of(endpoints: Sequence[Endpoint]) -> list[int]:
    """The most places of each endpoint: as told, else what its rate needs.

    Endpoints that say neither share what may be found to be right, by weight.
    """
    free = [one for one in endpoints if is_unlimited(one.job)]
    weights = sum(one.weight for one in free)
    return [
        max(limits.FIRST_SLOTS, round(limits.MOST_SLOTS * one.weight / weights))
        if one in free
        else limits.concurrency(one.job)
        for one in endpoints
    ]


def rooms_of(places: Sequence[int]) -> list[int]:
    """For how many places of each endpoint a run is laid out.

    A single one has room to be tuned to more than it was given.
    """
    return [max(places[0], limits.MOST_SLOTS)] if len(places) == 1 else list(places)


def first_places(endpoint: Endpoint, places: int) -> int:
    """With how many of its places an endpoint begins: all, where something says how many."""
    return min(limits.FIRST_SLOTS, places) if is_unlimited(endpoint.job) else places


def is_unlimited(job: Job) -> bool:
    """Whether nothing says how many requests an endpoint takes."""
    return job.max_concurrency is None and limits.request_rate(job) is None


def usual_slots(endpoints: Sequence[Endpoint]) -> int:
    """Slots over all workers, as long as nothing is found."""
    return sum(limits.concurrency(one.job) for one in endpoints)


def slots_of(endpoints: Sequence[Endpoint]) -> int:
    """Slots over all workers, as many as there may ever be."""
    return min(MOST_SLOTS, sum(rooms_of(places_of(endpoints))))


def workers_of(endpoints: Sequence[Endpoint], cores: int) -> int:
    """Worker processes: as told, else by cores, rate and slots."""
    rates = [limits.request_rate(one.job) for one in endpoints]
    known = [rate for rate in rates if rate is not None]
    rate = sum(known) if len(known) == len(rates) else None
    told = endpoints[0].job.workers
    return limits.workers_for(told, usual_slots(endpoints), rate, cores)


def shares(places: Sequence[int], workers: int) -> list[list[int]]:
    """For each worker its places at each endpoint, dealt so that all have as many in all."""
    dealt = [[0] * len(places) for _ in range(workers)]
    turn = 0
    for endpoint, count in enumerate(places):
        for worker in range(workers):
            dealt[(turn + worker) % workers][endpoint] = limits.share(count, workers)[worker]
        turn = (turn + count) % workers
    return dealt


def deal(places: int, most: Sequence[int], seats: Collection[int], turn: int) -> list[int]:
    """So many places as each seat gets of those that may be used now.

    In proportion to the `most` of each. Where there are fewer places than seats, those `seats` that
    have a living worker take turns, so that no record waits for ever where there is none.
    """
    whole = sum(most)
    if places >= whole:
        return list(most)
    dealt = [places * one // whole for one in most]
    if places < len(most):
        dealt, most = [0] * len(most), [int(seat in seats) for seat in range(len(most))]
    else:
        turn = 0
    order = [(turn + place) % len(most) for place in range(len(most))]
    left = places - sum(dealt)
    order.sort(key=dealt.__getitem__)  # first those that would have none: their records would wait
    for seat in order:
        if left and dealt[seat] < most[seat]:
            dealt[seat] += 1
            left -= 1
    return dealt
