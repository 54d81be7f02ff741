"""Progress moves and metrics are served while a run goes on, and a while longer."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from penstock.engine import watch
from penstock.engine.watch import metrics_listener
from penstock.errors import UsageError
from penstock.job import Job
from penstock.observe.observer import Observer
from penstock.observe.report import Report
from penstock.observe.snapshot import Snapshot
from penstock.observe.state import Endpoint, RunState


class FakeProgress:
    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.notes: list[str] = []

    def update(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def close(self, report: Report | None) -> None:
        pass


def observer() -> Observer:
    state = RunState(run_id="run", started_ns=0, started_at=0.0, endpoints={"api": Endpoint()})
    state.total = 10
    return Observer(state)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def scrape(port: int, path: str = "/metrics") -> str:
    def get() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(get)


def never() -> bool:
    return False


@asynccontextmanager
async def shown(
    job: Job, seen: Observer, progress: FakeProgress, hurried: Callable[[], bool]
) -> AsyncIterator[None]:
    """A run under watch, its metrics' port taken first as a run does."""
    with metrics_listener(job, progress.note) as listener:
        async with watch.watched(job, seen, progress, listener, hurried):
            yield


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "UPDATE_SECONDS", 0.001)


def test_progress_moves_and_shows_how_things_are_at_the_end() -> None:
    async def main() -> None:
        progress, seen = FakeProgress(), observer()
        async with shown(Job(metrics_port="off"), seen, progress, never):
            while len(progress.snapshots) < 3:
                await asyncio.sleep(0)
                await asyncio.sleep(0.001)
            seen.state.succeeded = 10
        assert progress.snapshots[0].done == 0
        assert progress.snapshots[-1].done == 10
        count = len(progress.snapshots)
        await asyncio.sleep(0.01)
        assert len(progress.snapshots) == count
        assert progress.notes == []

    asyncio.run(main())


def test_the_end_is_shown_also_when_the_run_raises() -> None:
    async def main() -> None:
        progress, seen = FakeProgress(), observer()
        with pytest.raises(ZeroDivisionError):
            async with shown(Job(metrics_port="off"), seen, progress, never):
                seen.state.succeeded = 7
                raise ZeroDivisionError
        assert progress.snapshots[-1].done == 7

    asyncio.run(main())


def test_metrics_are_served_and_gone_at_the_end_when_nobody_scraped() -> None:
    port = free_port()

    async def main() -> None:
        progress = FakeProgress()
        async with shown(Job(metrics_port=str(port)), observer(), progress, never):
            assert await scrape(port, "/healthz")
        with pytest.raises(OSError, match="refused"):
            await scrape(port)
        assert progress.notes == []

    asyncio.run(main())


def test_a_scrape_sees_the_run_as_it_is() -> None:
    port = free_port()

    async def main() -> None:
        seen = observer()
        async with shown(Job(metrics_port=str(port)), seen, FakeProgress(), lambda: True):
            seen.state.succeeded = 4
            text = await scrape(port)
        assert "penstock_run_info{" in text
        assert "penstock_records_pending 6.0" in text

    asyncio.run(main())


def linger(monkeypatch: pytest.MonkeyPatch, hurried: Callable[[], bool]) -> tuple[float, Any]:
    """How long a run that was scraped stays, and what was said."""
    port = free_port()
    monkeypatch.setattr(watch, "linger_seconds", lambda times, ended, now: ended + 0.3 - now)
    progress = FakeProgress()

    async def main() -> float:
        async with shown(Job(metrics_port=str(port)), observer(), progress, hurried):
            await scrape(port)
            began = asyncio.get_running_loop().time()
        return asyncio.get_running_loop().time() - began

    return asyncio.run(main()), progress.notes


def test_who_was_scraped_lingers_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, notes = linger(monkeypatch, never)
    assert 0.29 <= seconds < 5
    assert "serving metrics" in notes[0]


def test_who_is_hurried_does_not_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, _ = linger(monkeypatch, lambda: True)
    assert seconds < 0.29


def test_an_explicit_port_that_is_taken_is_refused_before_anything_is_shown() -> None:
    async def main() -> None:
        progress = FakeProgress()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            job = Job(metrics_port=str(taken.getsockname()[1]))
            with pytest.raises(UsageError, match="--metrics-port"):
                async with shown(job, observer(), progress, never):
                    raise AssertionError("the run began")
        assert progress.snapshots == []

    asyncio.run(main())
