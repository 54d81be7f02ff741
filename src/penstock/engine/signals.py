"""SIGINT and SIGTERM for a run, where they can be heard: in the main thread alone."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HEARD = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def heard(on_signal: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call `on_signal` for each signal while the context lasts; off the main thread, for none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in HEARD}
    for number in HEARD:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
