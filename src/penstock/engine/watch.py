"""Shows a run while it goes on: progress and metrics, fed from one observer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from penstock._core import monotonic_ns
from penstock.job import Job
from penstock.observe.exporter import Exporter, listen
from penstock.observe.linger import linger_seconds
from penstock.observe.metrics import Labels, RunCollector, exposition
from penstock.observe.observer import Observer
from penstock.observe.progress import Progress
from penstock.version import VERSION

UPDATE_SECONDS = 0.25


@asynccontextmanager
async def watched(
    job: Job, observer: Observer, progress: Progress, hurried: Callable[[], bool]
) -> AsyncIterator[None]:
    """Keep the progress moving and the metrics served, until a while after the run's end.

    That while ends as soon as `hurried` says so.
    """
    exporter = await serve_metrics(job, observer, progress.note)
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


async def serve_metrics(
    job: Job, observer: Observer, note: Callable[[str], None]
) -> Exporter | None:
    """The metrics' endpoint; None where it is off. Raises UsageError for a port that is taken."""
    if job.metrics_port == "off":
        return None
    listener, said = listen(job.metrics_host, job.metrics_port)
    if said:
        note(said)
    labels = Labels(VERSION, job.provider, job.model or "")
    collector = RunCollector(
        lambda: (observer.snapshot(monotonic_ns()), observer.tally.totals()), labels
    )
    exporter = Exporter(listener, exposition(collector))
    await exporter.start()
    return exporter


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
