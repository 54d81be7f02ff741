"""An event loop whose clock jumps to whatever is due next: what waits for hours takes no time.

Nothing runs beside it: what is given to an executor runs in the loop itself, so that a test that
uses it takes the same course every time.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

START_NS = 1_000_000_000_000

T = TypeVar("T")


class Stuck(Exception):
    """Raised when nothing is due any more, and so nothing can ever wake the loop."""


class JumpingSelector(selectors.SelectSelector):
    """Instead of waiting, it puts the clock forward."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise Stuck
        if not ready and timeout:
            self.loop.now_ns += max(1, math.ceil(timeout * 1e9)) + self.loop.lateness_ns
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """`now_ns` is its clock; a test may put it forward, too: a process that was stopped meanwhile.

    `lateness_ns` is by how much every timer fires late; `seconds` how long the functions take that
    run in an executor, by name.
    """

    def __init__(self) -> None:
        self.now_ns = START_NS
        self.lateness_ns = 0
        self.seconds: dict[str, float] = {}
        self.submitted: Counter[str] = Counter()  # to executors, by name
        self._last: dict[int, asyncio.Future[Any]] = {}
        selector = JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now_ns / 1e9

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """As an executor with one thread would: one after the other; with None, side by side."""
        self.submitted[name_of(func)] += 1
        before = self._last.get(id(executor)) if executor is not None else None
        future = asyncio.ensure_future(self._work(before, func, *args), loop=self)
        self._last[id(executor)] = future
        return future

    async def _work(
        self, before: asyncio.Future[Any] | None, func: Callable[..., T], *args: Any
    ) -> T:
        if before is not None and not before.done():
            await asyncio.wait([before])
        await asyncio.sleep(self.seconds.get(name_of(func), 0.0))
        return func(*args)


class Clock:
    """The time by CLOCK_MONOTONIC for modules under test: that of the loop that is running."""

    def __init__(self) -> None:
        self.loop: VirtualLoop | None = None

    def __call__(self) -> int:
        return self.loop.now_ns if self.loop else START_NS

    def run(self, main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
        """Run `main` to its end in a virtual loop; what the loop complains of fails the test."""
        complaints: list[dict[str, Any]] = []
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            loop = runner.get_loop()
            assert isinstance(loop, VirtualLoop)
            loop.set_exception_handler(lambda _, said: complaints.append(said))
            self.loop = loop
            result = runner.run(main(loop))
        assert not complaints, complaints
        return result


def name_of(func: Callable[..., Any]) -> str:
    """A function's name; that of asyncio.to_thread's partial is empty."""
    return getattr(func, "__name__", "")
