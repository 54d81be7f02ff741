"""From a job's limits to buckets, slots and workers: pure arithmetic.

The promise (no half-open window W holds more than N) is kept on *send* times, so what a bucket may
give depends on how late a ticket may be used: see the compiled core. `late_ns` is small against the
window, so that the price of lateness stays near 1 %. A token bucket's ceiling, the largest cost it
takes without an extra charge, comes from the costs of sampled records: a bucket smaller than a
usual record would have to overcharge every one of them.
"""

from __future__ import annotations

import math
import os
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
SLOTS_SECONDS = 20  # an answer's assumed longest usual time, where a rate asks for slots
REQUESTS_PER_WORKER = 500  # a second; a worker does several times that
SLOTS_PER_WORKER = 16  # below that another worker only adds overhead


class Bucket(msgspec.Struct, frozen=True):
    """One limit as the core's limiter takes it: at most `limit` units in any `window_ns`."""

    name: str  # the option that set it
    resource: int  # _core.REQUESTS, ...
    limit: int
    window_ns: int
    ceiling: int  # the largest cost taken without extra charge, in units
    late_ns: int

    @property
    def per_second(self) -> float:
        return self.limit * SECOND_NS / self.window_ns


def buckets_of(job: Job, largest_tokens: int) -> list[Bucket]:
    """The buckets of a job's limits; `largest_tokens` is the largest cost in the sample."""
    given = (
        ("rps", _core.REQUESTS, job.rps, SECOND_NS),
        ("rpm", _core.REQUESTS, job.rpm, MINUTE_NS),
        ("rpd", _core.REQUESTS, job.rpd, DAY_NS),
        ("tpm", _core.TOTAL_TOKENS, job.tpm, MINUTE_NS),
        ("input_tpm", _core.INPUT_TOKENS, job.input_tpm, MINUTE_NS),
        ("output_tpm", _core.OUTPUT_TOKENS, job.output_tpm, MINUTE_NS),
    )
    return [
        Bucket(
            name,
            resource,
            limit,
            window,
            ceiling(resource, limit, window, largest_tokens),
            late(window),
        )
        for name, resource, limit, window in given
        if limit is not None
    ]


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
    rates = [
        bucket.per_second for bucket in buckets_of(job, 1) if bucket.resource == _core.REQUESTS
    ]
    return min(rates) if rates else None


def concurrency(job: Job) -> int:
    """Slots over all workers: as told, else what the rate needs, else the default."""
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
