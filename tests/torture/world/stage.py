"""Puts a world in the place of what the engine reaches for: clock, chance, processes, network."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from penstock.engine import (
    books,
    committer,
    crew,
    leases,
    opening,
    region,
    supervisor,
    work,
    worker,
)
from penstock.engine.region import Region
from penstock.providers.provider import Provider, provider_for
from torture.world.run import World
from torture.world.worker import Hand, Line, Writer

READERS = (
    *("asker", "committer", "crew", "ending", "lane", "pacer"),
    *("routed_work", "run", "supervisor", "work", "worker", "worker_process"),
)
DATERS = ("ending", "run", "supervisor")
SAMPLE_NS = 3_000_000_000  # what is shown of a run is not what is proven here


def play(seed: int) -> World:
    """Play a seed's run to its end."""
    # In memory where the system has such a place: nothing of it has to last.
    shm = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="penstock-", dir=shm if shm.is_dir() else None))
    world = World(seed, folder)
    with staged(world):
        try:
            world.play()
        finally:
            world.dispose()
    return world


@contextmanager
def staged(world: World) -> Iterator[None]:
    machine, plot = world.machine, world.plot
    regions: list[Region] = []
    memories: dict[int, mmap.mmap] = {}  # by descriptor of their region

    def memory_of(descriptor: int, size: int) -> mmap.mmap:
        """The same for all processes: a mapping has a descriptor, which the killed would keep."""
        if descriptor not in memories:
            memories[descriptor] = mmap.mmap(-1, size)
        return memories[descriptor]

    class OwnRegion(Region):
        """Closed once, be its process killed or not."""

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            regions.append(self)
            world.region = self

        def close(self) -> None:
            if self in regions:
                regions.remove(self)
                memories.pop(self.descriptor)
                super().close()

    with pytest.MonkeyPatch.context() as patch:
        for name in READERS:
            patch.setattr(f"penstock.engine.{name}.monotonic_ns", lambda: machine.now_ns)
        wall = SimpleNamespace(time=lambda: machine.now_ns / 1e9)
        for name in DATERS:
            patch.setattr(f"penstock.engine.{name}.wall_us", lambda: machine.now_ns // 1000)
        patch.setattr(books, "time", wall)
        patch.setattr(opening, "secrets", SimpleNamespace(token_hex=lambda size: "5eed" * 4))
        patch.setattr(opening, "provider_for", provider_of)
        patch.setattr(opening.limits, "shard_rows", lambda slots: plot.shard_rows)
        patch.setattr(work, "random", SimpleNamespace(random=machine.dice.random))
        patch.setattr(supervisor, "Region", OwnRegion)
        patch.setattr(region, "mmap", SimpleNamespace(mmap=memory_of))
        patch.setattr(crew, "WorkerProcess", partial(Hand, world))
        patch.setattr(worker, "os", SimpleNamespace(getpid=lambda: 1, _exit=world.exit))
        patch.setattr(worker, "busy_ns", lambda: 0)
        patch.setattr(worker, "Disk", world.disk)
        patch.setattr(worker, "SegmentWriter", partial(Writer, world))
        patch.setattr(worker, "provider_for", provider_of)
        patch.setattr(
            worker,
            "transport_for",
            lambda timeout_seconds, **_: Line(world, timeout_seconds),
        )
        patch.setattr(worker, "BEAT_SECONDS", plot.beat_seconds)
        patch.setattr(supervisor, "TICK_SECONDS", plot.beat_seconds)
        patch.setattr(supervisor, "SAMPLE_NS", SAMPLE_NS)
        patch.setattr(leases, "HELD_BYTES_PER_WORKER", plot.held_bytes)
        patch.setattr(committer, "BATCH_RESULTS", plot.batch_results)
        try:
            yield
        finally:
            for one in list(regions):
                one.close()


def provider_of(job: Any) -> Provider:
    return _provider_of(job.model, job.prompt)


@cache
def _provider_of(model: str, prompt: str) -> Provider:
    from penstock.job import Job

    return provider_for(Job(model=model, prompt=prompt, base_url="http://127.0.0.1:1/v1"))
