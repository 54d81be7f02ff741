"""The real limiter for tests, over memory of its own."""

from __future__ import annotations

import mmap
from typing import Any

from engine.virtual_time import START_NS
from penstock._core import Limiter, Slab
from penstock.engine.limits import Bucket, buckets_of
from penstock.engine.region import configure
from penstock.job import Job
from penstock.observe.slab_layout import open_slab, slab_bytes


def limiters(count: int, largest_tokens: int = 1, **limits: Any) -> list[Limiter]:
    """Handles on one endpoint whose limits are those of a job; configured at the clock's start."""
    buckets: list[Bucket] = buckets_of(Job(**limits), largest_tokens)
    memory = mmap.mmap(-1, Limiter.bytes_needed(len(buckets)))
    made = [Limiter(memory, 0, len(buckets)) for _ in range(count)]
    configure(made[0], buckets, START_NS)
    return made


def limiter(**limits: Any) -> Limiter:
    """One handle."""
    return limiters(1, **limits)[0]


def slab(slots: int = 8) -> Slab:
    """A worker's slab, zeroed."""
    return open_slab(mmap.mmap(-1, slab_bytes(slots)), 0, slots)
