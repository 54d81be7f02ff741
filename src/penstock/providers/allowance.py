"""How much one rendering may take, so that no template and no row can stop a worker.

Time is that of the thread: a process that was stopped for a while has not used it. It is looked at
at every turn of a loop, every call, filter and operator; what lies between two of them is bounded
by the size of the values that there can be. A value's size counts what it holds as often as it
holds it, as a text made of it would: lists of lists of one list are small in memory and endless
when printed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any, Final

from jinja2.utils import Namespace

MOST: Final = 1 << 22  # characters and items that one expression may make
MOST_IN_ALL: Final = 1 << 26
MOST_SECONDS: Final = 5.0
MOST_BITS: Final = 1 << 20  # of a whole number


class RenderError(Exception):
    """Raised when a template can't be rendered for a record."""


class Allowance:
    """What is left of it for one rendering."""

    def __init__(self) -> None:
        self._left = MOST_IN_ALL
        self._look_at = time.perf_counter() + MOST_SECONDS
        self._until = time.thread_time() + MOST_SECONDS
        self._sizes: dict[int, tuple[Any, int]] = {}  # by id; the value is kept, and so is its id

    def step(self) -> None:
        """Raises RenderError once the time is used up."""
        now = time.perf_counter()
        if now > self._look_at:
            left = self._until - time.thread_time()
            if left <= 0:
                raise RenderError(f"it takes longer than {MOST_SECONDS:.0f} s")
            self._look_at = now + left

    def spend(self, size: int) -> None:
        """Take away characters or items that were made. Raises RenderError."""
        self._left -= size
        if self._left < 0:
            raise RenderError(f"it makes more than {MOST_IN_ALL:,} characters")

    def made(self, value: Any) -> Any:
        """`value`, which the template made, if there may be such a one. Raises RenderError."""
        if isinstance(value, (str, bytes)):
            self.spend(len(value))
        elif isinstance(value, (list, tuple, dict)):
            self.spend(len(value))
            self.size(value)
        elif isinstance(value, int) and value.bit_length() > MOST_BITS:
            raise RenderError("a number of too many digits")
        return value

    def size(self, value: Any) -> int:
        """How much a value holds. Raises RenderError where that is more than MOST."""
        if isinstance(value, (str, bytes)):
            return len(value)
        if isinstance(value, dict):
            return self._sum(value, [*value, *value.values()])
        if isinstance(value, (list, tuple)):
            return self._sum(value, value)
        if isinstance(value, Namespace):
            raise RenderError("a namespace is neither printed nor put into a list")
        return 1

    def _sum(self, value: Any, parts: Iterable[Any]) -> int:
        known = self._sizes.get(id(value))
        if known is None:
            size = 1 + sum(map(self.size, parts))
            known = self._sizes[id(value)] = value, size
        return small(known[1], "a list or object with more than {} parts")


def small(size: int, what: str) -> int:
    """`size`, if it is not more than MOST. Raises RenderError: `what`, with the limit in it."""
    if size > MOST:
        raise RenderError(what.format(f"{MOST:,}"))
    return size


class _Held(threading.local):
    allowance: Allowance | None = None


_held = _Held()


def begin() -> Allowance:
    """A whole allowance for what this thread does from now on."""
    _held.allowance = Allowance()
    return _held.allowance


def current() -> Allowance:
    """That of the rendering under way in this thread."""
    return _held.allowance or begin()


def end() -> None:
    """The rendering is over; what it made is let go."""
    _held.allowance = None
