"""SIGINT, SIGTERM and SIGHUP for a run, where they can be heard: in the main thread alone.

A run on another thread is stopped by a switch, in the hand of whoever waits for it in the main
thread or in an event loop.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def heard(on_signal: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call `on_signal` for each signal while the context lasts; off the main thread, for none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    # Who is told to ignore a signal (nohup) goes on ignoring it.
    handlers = {number: signal.getsignal(number) for number in HEARD}
    before = {number: one for number, one in handlers.items() if one != signal.SIG_IGN}
    for number in before:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


class Switch:
    """Stops a run from another thread as a signal would: the first press drains, the second cuts.

    What is pressed before the run listens counts when it does.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._early: list[signal.Signals] = []
        self._tell: Callable[[signal.Signals], object] = self._early.append

    def press(self, number: signal.Signals = signal.SIGINT) -> None:
        """Press it, for the reason of a signal."""
        with self._lock:
            self._tell(number)

    @contextmanager
    def pressed_by_signals(self) -> Iterator[None]:
        """Have signals press it while the context lasts; off the main thread, none does."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in HEARD}
        for number in HEARD:
            signal.signal(number, lambda number, _: self.press(signal.Signals(number)))
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def wired(self, on_signal: Callable[[signal.Signals], None]) -> Iterator[None]:
        """Call `on_signal`, on this thread's event loop, for each press while the context lasts."""
        loop = asyncio.get_running_loop()
        with self._lock:
            self._tell = lambda number: loop.call_soon_threadsafe(on_signal, number)
            for number in self._early:
                self._tell(number)
        try:
            yield
        finally:
            with self._lock:
                self._tell = self._early.append
