"""From a job's limits to buckets, slots and workers: pure arithmetic.

The promise (no half-open window W holds more than N) is kept on *send* times, so what a bucket may
give depends on how late a ticket may be used: see the compiled core. `late_ns` is small against the
window, so that the price of lateness stays near 1 %. A token bucket's ceiling, the largest cost it
takes without an extra charge, comes from the costs of sampled records: a bucket smaller than a
usual record would have to overcharge every one of them.

An endpoint has a bucket for each limit there is, also where it is not given: the provider may name
it, or it may be found or tuned while the run goes on. What is found never lifts what is given.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from penstock import _core
from penstock.job import DEFAULT_CONCURRENCY, Job

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS

HORIZON_NS = 50_000_000  # a ticket is never taken further ahead
MOST_LATE_NS = 50_000_000  # nor used later, once due
MOST_SLOTS = 2048  # what `auto` concurrency never exceeds
FIRST_SLOTS = 32  # what it begins with where nothing is given
SLOTS_SECONDS = 20  # an answer's assumed longest usual time, where a rate asks for slots
REQUESTS_PER_WORKER = 500  # a second; a worker does several times that
SLOTS_PER_WORKER = 16  # below that another worker only adds overhead


class Rate(msgspec.Struct, frozen=True):
    """So many units in any window."""

    limit: int
    window_ns: int


class Bucket(msgspec.Struct, frozen=True):
    """One limit as the core's limiter takes it: at most `limit` units in any `window_ns`."""

    name: str  # the option that sets it
    resource: int  # _core.REQUESTS, ...
    limit: int | None  # None: nothing bounds it
    window_ns: int
    ceiling: int  # the largest cost taken without extra charge, in units
    late_ns: int

    @property
    def per_second(self) -> float:
        return math.inf if self.limit is None else self.limit * SECOND_NS / self.window_ns


KINDS = (
    ("rps", _core.REQUESTS, SECOND_NS),
    ("rpm", _core.REQUESTS, MINUTE_NS),
    ("rpd", _core.REQUESTS, DAY_NS),
    ("tpm", _core.TOTAL_TOKENS, MINUTE_NS),
    ("tpd", _core.TOTAL_TOKENS, DAY_NS),
    ("input_tpm", _core.INPUT_TOKENS, MINUTE_NS),
    ("output_tpm", _core.OUTPUT_TOKENS, MINUTE_NS),
)
NAMES = tuple(name for name, _, _ in KINDS)


def buckets_of(job: Job, largest_tokens: int) -> list[Bucket]:
    """The buckets of a job's limits; `largest_tokens` is the largest cost in the sample."""
    return buckets_with({name: getattr(job, name) for name in NAMES}, largest_tokens)


def buckets_with(limits: Mapping[str, int | None], largest_tokens: int) -> list[Bucket]:
    """The buckets of these limits, by option."""
    return [
        bucket(name, resource, limits.get(name), window_ns, largest_tokens)
        for name, resource, window_ns in KINDS
    ]


def bucket(
    name: str, resource: int, limit: int | None, window_ns: int, largest_tokens: int
) -> Bucket:
    """A bucket of so many units a window."""
    burst = ceiling(resource, limit or 1, window_ns, largest_tokens)
    return Bucket(name, resource, limit, window_ns, burst, late(window_ns))


def within(given: Bucket, found: Rate | None, largest_tokens: int) -> Bucket:
    """A bucket as it was given, or slower, if what was found is."""
    if found is None:
        return given
    limit, window_ns = found.limit, found.window_ns
    if given.limit is not None:
        if given.limit * window_ns <= limit * given.window_ns:
            return given
        # In the window that was given: another one's burst might be too much for it.
        if whole := limit * given.window_ns // window_ns:
            limit, window_ns = whole, given.window_ns
    return bucket(given.name, given.resource, limit, window_ns, largest_tokens)


def ceiling(resource: int, limit: int, window_ns: int, largest_tokens: int) -> int:
    """A bucket's burst: 1 % of the limit or 0.05 s of the rate; for tokens, a usual record."""
    burst = max(1, min(limit // 100, limit * SECOND_NS // (20 * window_ns)))
    if resource == _core.REQUESTS:
        return burst
    return max(burst, min(largest_tokens * 5 // 4, max(1, limit // 4)))


def late(window_ns: int) -> int:
    """How late after it was due a ticket may be used."""
    return min(MOST_LATE_NS, window_ns // 100)


def request_rate(job: Job) -> float | None:
    """Requests per second that the job's limits allow at most; None where nothing bounds them."""
    rate = min(one.per_second for one in buckets_of(job, 1) if one.resource == _core.REQUESTS)
    return rate if rate < math.inf else None


def concurrency(job: Job) -> int:
    """Slots over all workers that are usual: as told, else what the rate needs, else the default.

    Where nothing is told the run finds out how many are right; see `places`.
    """
    if job.max_concurrency is not None:
        return job.max_concurrency
    rate = request_rate(job)
    if rate is None:
        return DEFAULT_CONCURRENCY
    return max(DEFAULT_CONCURRENCY, min(MOST_SLOTS, math.ceil(rate * SLOTS_SECONDS)))


def worker_count(job: Job, cores: int) -> int:
    """Worker processes: as told (but never more than slots), else by cores, rate and slots."""
    return workers_for(job.workers, concurrency(job), request_rate(job), cores)


def workers_for(told: int | str, slots: int, rate: float | None, cores: int) -> int:
    """Worker processes for so many slots, and at most so many requests a second."""
    if isinstance(told, int):
        return min(told, slots)
    needed = slots / SLOTS_PER_WORKER if rate is None else rate / REQUESTS_PER_WORKER
    return max(1, min(cores, slots, math.ceil(needed)))


def share(total: int, parts: int) -> list[int]:
    """`total` split into `parts` as evenly as whole numbers go."""
    each, more = divmod(total, parts)
    return [each + (1 if index < more else 0) for index in range(parts)]


def shard_rows(slots: int) -> int:
    """Rows of a shard: small enough that a slow tail is shared out, large enough to be cheap."""
    return max(8, min(256, slots // 2))


def cores_here() -> int:
    """Cores that this process may use, by affinity and by cgroup quota."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    return max(1, min(cores, quota_cores(Path("/sys/fs/cgroup/cpu.max")) or cores))


def quota_cores(path: Path) -> int | None:
    """The cgroup v2 CPU quota in whole cores, rounded up; None where there is none."""
    try:
        quota, period = path.read_text().split()
        return None if quota == "max" else math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return None
