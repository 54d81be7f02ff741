"""A sliding window over growing counters: how much each grew in the last seconds.

Two samples and a subtraction rather than a decaying average: what it says is exact for the time
that it names, and a burst leaves no tail.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec


class Growth(msgspec.Struct, frozen=True):
    """How much each counter grew, and in how long."""

    elapsed_ns: int
    amounts: Sequence[int]

    def per_second(self, index: int) -> float:
        """The counter's growth per second; 0.0 where no time has passed."""
        return self.amounts[index] * 1e9 / self.elapsed_ns if self.elapsed_ns > 0 else 0.0


class Window:
    """Samples of a row of counters over the last `span_ns`, at most one per `step_ns`."""

    def __init__(self, span_ns: int, step_ns: int) -> None:
        self._span_ns = span_ns
        self._step_ns = step_ns
        self._samples: deque[tuple[int, tuple[int, ...]]] = deque()

    def add(self, now_ns: int, counters: Sequence[int]) -> None:
        """Remember the counters as they are now."""
        samples = self._samples
        if samples and now_ns - samples[-1][0] < self._step_ns:
            return
        samples.append((now_ns, tuple(counters)))
        # The newest sample that is as old as the window stays: growth is measured from it.
        while len(samples) > 1 and now_ns - samples[1][0] >= self._span_ns:
            samples.popleft()

    def growth(self, now_ns: int, counters: Sequence[int], span_ns: int) -> Growth:
        """How much `counters` grew in the last `span_ns`, or since the first sample if later."""
        base = next(
            (one for one in reversed(self._samples) if now_ns - one[0] >= span_ns),
            self._samples[0] if self._samples else (now_ns, tuple(counters)),
        )
        amounts = [new - old for new, old in zip(counters, base[1], strict=True)]
        return Growth(now_ns - base[0], amounts)
