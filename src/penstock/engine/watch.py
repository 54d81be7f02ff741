"""Shows a run while it goes on: progress and metrics, fed from one observer."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache

from penstock._core import monotonic_ns
from penstock.endpoints import first_of
from penstock.job import Job
from penstock.observe.exporter import Exporter, listen
from penstock.observe.linger import linger_seconds
from penstock.observe.observer import Observer
from penstock.observe.progress import Progress
from penstock.version import VERSION

UPDATE_SECONDS = 0.25


@asynccontextmanager
async def watched(
    job: Job,
    observer: Observer,
    progress: Progress,
    listener: socket.socket | None,
    hurried: Callable[[], bool],
) -> AsyncIterator[None]:
    """Keep the progress moving and the metrics served, until a while after the run's end.

    The metrics are served on `listener`, if there is one; the while ends as soon as `hurried` says.
    """
    exporter = None if listener is None else await serve_metrics(job, observer, listener)
    moving = asyncio.create_task(move(observer, progress))
    try:
        yield
    finally:
        moving.cancel()
        progress.update(observer.snapshot(monotonic_ns()))
        if exporter is not None:
            await linger(exporter, progress.note, hurried)
            await exporter.close()


async def move(observer: Observer, progress: Progress) -> None:
    """Update the progress a few times a second."""
    while True:
        progress.update(observer.snapshot(monotonic_ns()))
        await asyncio.sleep(UPDATE_SECONDS)


@contextmanager
def metrics_listener(job: Job, note: Callable[[str], None]) -> Iterator[socket.socket | None]:
    """The socket that the metrics will be served on; None where they are off.

    It is taken before anything else is done. Raises UsageError where the port is taken.
    """
    if job.metrics_port == "off":
        yield None
        return
    listener, said = listen(job.metrics_host, job.metrics_port)
    if said:
        note(said)
    with listener:
        yield listener


async def serve_metrics(job: Job, observer: Observer, listener: socket.socket) -> Exporter:
    """Serve the metrics of a run on a socket that listens."""
    exporter = Exporter(listener, exposition_of(job, observer))
    await exporter.start()
    return exporter


def exposition_of(job: Job, observer: Observer) -> Callable[[], bytes]:
    """A function that renders the run's metrics as text.

    What that needs is imported at the first scrape: before, it would hold up the first request.
    """

    @cache
    def render() -> Callable[[], bytes]:
        from penstock.observe.metrics import Labels, RunCollector, exposition

        first = first_of(job)
        labels = Labels(VERSION, first.provider, first.model or "")
        collector = RunCollector(
            lambda: (observer.snapshot(monotonic_ns()), observer.tally.totals()), labels
        )
        return exposition(collector)

    return lambda: render()()


async def linger(
    exporter: Exporter, note: Callable[[str], None], hurried: Callable[[], bool]
) -> None:
    """Wait for the last scrapes, where somebody scrapes."""
    ended_at = time.monotonic()
    left = linger_seconds(exporter.scrape_times, ended_at, ended_at)
    if left:
        note(f"serving metrics for {left:.0f} s more, for the last scrapes")
    while left > 0 and not hurried():
        await asyncio.sleep(min(left, 0.2))
        left = linger_seconds(exporter.scrape_times, ended_at, time.monotonic())
