"""The event loop of one simulated process: it goes on only when the machine lets it.

A process that is never stepped again is a killed one: no `finally` of it runs, as after SIGKILL.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torture.world.machine import Process
    from torture.world.pipe import End

T = TypeVar("T")


class NoSelector:
    """Nothing ever comes from outside."""

    def select(self, timeout: float | None = None) -> list[Any]:
        return []


class ProcessLoop(asyncio.BaseEventLoop):
    """One for each process; what is given to its executors runs in it, after some time."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._selector = NoSelector()
        self._process = process
        self._last: dict[int, asyncio.Future[Any]] = {}
        self.set_exception_handler(lambda _, said: process.complain(said))

    def time(self) -> float:
        return self._process.machine.now_ns / 1e9

    def _process_events(self, events: object) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def due_ns(self) -> int | None:
        """When something can run; None where nothing ever will by itself."""
        if self._ready:  # type: ignore[attr-defined]
            return 0
        timers = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0]._cancelled:
            self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
            heapq.heappop(timers)._scheduled = False
        return int(timers[0]._when * 1e9) if timers else None

    def step(self) -> None:
        """Run what is due now, once."""
        asyncio._set_running_loop(self)
        try:
            self._run_once()  # type: ignore[attr-defined]
        finally:
            asyncio._set_running_loop(None)

    async def create_connection(self, factory: Callable[[], Any], sock: End) -> Any:  # type: ignore[override]
        protocol = factory()
        sock.connect(self, protocol)
        return sock, protocol

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """As an executor with one thread would: one after the other; with None, side by side."""
        before = self._last.get(id(executor)) if executor is not None else None
        future = self.create_task(self._work(before, func, *args))
        if executor is not None:
            self._last[id(executor)] = future
        return future

    async def _work(
        self, before: asyncio.Future[Any] | None, func: Callable[..., T], *args: Any
    ) -> T:
        if before is not None and not before.done():
            await asyncio.wait([before])
        await asyncio.sleep(self._process.delay(func))
        return func(*args)

    def dispose(self) -> None:
        """Let go of all that still hangs in it, without a word."""
        asyncio._set_running_loop(self)
        try:
            for task in asyncio.all_tasks(self):
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                shut(task.get_coro())
        finally:
            asyncio._set_running_loop(None)
        self.close()


def shut(coroutine: Any) -> None:
    """Close a coroutine, whatever it does about it."""
    for _ in range(20):
        with suppress(BaseException):
            coroutine.close()
            return
