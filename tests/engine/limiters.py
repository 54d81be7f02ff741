"""The real limiter for tests, over memory of its own."""

from __future__ import annotations

import mmap
from typing import Any, TypeVar, overload

from engine.virtual_time import START_NS
from penstock._core import Limiter, Slab
from penstock.engine.limits import Bucket, buckets_of
from penstock.engine.region import configure
from penstock.job import Job
from penstock.observe.slab_layout import open_slab, slab_bytes

L = TypeVar("L", bound=Limiter)


def limiters(count: int, largest_tokens: int = 1, **limits: Any) -> list[Limiter]:
    """Handles on one endpoint whose limits are those of a job; configured at the clock's start."""
    return handles(Limiter, count, largest_tokens, **limits)


def handles(kind: type[L], count: int, largest_tokens: int = 1, **limits: Any) -> list[L]:
    """The same, of a kind of one's own."""
    buckets: list[Bucket] = buckets_of(Job(**limits), largest_tokens)
    memory = mmap.mmap(-1, Limiter.bytes_needed(len(buckets)))
    made = [kind(memory, 0, len(buckets)) for _ in range(count)]
    configure(made[0], buckets, START_NS)
    return made


@overload
def limiter(**limits: Any) -> Limiter: ...
@overload
def limiter(kind: type[L], **limits: Any) -> L: ...
def limiter(kind: type[Limiter] = Limiter, **limits: Any) -> Limiter:
    """One handle."""
    return handles(kind, 1, **limits)[0]


def slab(slots: int = 8) -> Slab:
    """A worker's slab, zeroed."""
    return open_slab(mmap.mmap(-1, slab_bytes(slots)), 0, slots)
