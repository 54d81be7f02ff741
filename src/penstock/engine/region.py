"""The shared memory of a run: one anonymous region, a limiter an endpoint and a seat a worker.

Between them are grants and meters, a word and a few for each endpoint and seat (`engine/meter`).

It is passed to workers by file descriptor: a memfd on Linux, an unlinked file elsewhere. Not
`multiprocessing.shared_memory`, whose resource tracker on CPython 3.11 unlinks the owner's segment
when an attacher exits. Nothing in it is ever locked, so a killed process can't wedge the others.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from penstock._core import LINE_BYTES, Claims, Limiter, Slab
from penstock.engine.limits import Bucket
from penstock.engine.meter import Grants, meter_bytes, open_meter
from penstock.observe.slab_layout import open_slab, slab_bytes


class Layout(msgspec.Struct, frozen=True):
    """Where things are in the region; every part begins on a cache line."""

    buckets: tuple[int, ...]  # of each endpoint's limiter
    seats: int
    slots: int  # the most that any seat has
    claims: bool = False  # of a job with --dedupe

    @property
    def limiters_bytes(self) -> int:
        return self.limiter_at(len(self.buckets))

    @property
    def meters_at(self) -> int:
        """Where the meters begin, those of a seat together: after the grants."""
        return self.limiters_bytes + lines(Grants.bytes_needed(self.seats, len(self.buckets)))

    @property
    def seats_at(self) -> int:
        return self.meters_at + self.seats * len(self.buckets) * lines(meter_bytes())

    @property
    def seat_bytes(self) -> int:
        return lines(slab_bytes(self.slots))

    @property
    def size(self) -> int:
        return self.claims_at + (Claims.bytes_needed() if self.claims else 0)

    @property
    def claims_at(self) -> int:
        """Where the claims begin: last, as they are large and hardly written to."""
        return self.seats_at + self.seats * self.seat_bytes

    def limiter_at(self, endpoint: int) -> int:
        """Where the limiter of an endpoint begins; the one after the last, where they end."""
        return sum(lines(Limiter.bytes_needed(count)) for count in self.buckets[:endpoint])


def lines(size: int) -> int:
    """`size` rounded up to whole cache lines."""
    return -(-size // LINE_BYTES) * LINE_BYTES


class Region:
    """The mapped region; the supervisor makes it, a worker maps it by its descriptor."""

    def __init__(self, layout: Layout, descriptor: int) -> None:
        self.layout = layout
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, layout.size)

    @classmethod
    def make(cls, layout: Layout) -> Region:
        """A new region, zeroed."""
        descriptor = anonymous_file()
        os.ftruncate(descriptor, layout.size)
        return cls(layout, descriptor)

    def limiter(self, endpoint: int = 0) -> Limiter:
        """A handle on an endpoint's buckets."""
        layout = self.layout
        return Limiter(self._memory, layout.limiter_at(endpoint), layout.buckets[endpoint])

    def grants(self) -> Grants:
        """How many requests each seat may have in flight at each endpoint."""
        layout = self.layout
        return Grants(self._memory, layout.limiters_bytes, layout.seats, len(layout.buckets))

    def meter(self, seat: int, endpoint: int) -> Slab:
        """What the workers on `seat` count of an endpoint."""
        place = seat * len(self.layout.buckets) + endpoint
        return open_meter(self._memory, self.layout.meters_at + place * lines(meter_bytes()))

    def slab(self, seat: int) -> Slab:
        """The counters, histograms and started rows of the worker on `seat`."""
        return open_slab(self._memory, self._seat(seat), self.layout.slots)

    def claims(self) -> Claims:
        """The requests that rows have claimed."""
        return Claims(self._memory, self.layout.claims_at)

    def clear_seat(self, seat: int) -> None:
        """Zero a seat, between one worker's death and the next one's start."""
        start = self._seat(seat)
        self._memory[start : start + self.layout.seat_bytes] = bytes(self.layout.seat_bytes)

    def close(self) -> None:
        """Drop the descriptor; the memory goes when its last handle does."""
        os.close(self.descriptor)

    def _seat(self, seat: int) -> int:
        return self.layout.seats_at + seat * self.layout.seat_bytes


def anonymous_file() -> int:
    """A descriptor of a file that has no name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("penstock", os.MFD_CLOEXEC)
    descriptor, path = tempfile.mkstemp()
    Path(path).unlink()
    return descriptor


def configure(limiter: Limiter, buckets: Sequence[Bucket], now_ns: int) -> None:
    """Set up every bucket, empty; those that bound nothing are lifted."""
    for index, bucket in enumerate(buckets):
        limiter.configure(
            index,
            bucket.resource,
            bucket.limit or bucket.ceiling,
            bucket.window_ns,
            bucket.ceiling,
            bucket.late_ns,
            now_ns,
        )
        if bucket.limit is None:
            limiter.lift(index)
