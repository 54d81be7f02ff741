"""Whether a quantity that was sampled over time grows."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

Sample = tuple[float, float]  # seconds, quantity


class Line(NamedTuple):
    """A straight line through samples."""

    level: float  # the median quantity
    slope: float  # change of the quantity in a second

    def growth(self, seconds: float) -> float:
        """The change in so many seconds, as a share of the level."""
        return self.slope * seconds / self.level if self.level else 0.0


def line_through(samples: Sequence[Sample]) -> Line:
    """The Theil-Sen line: the median of the slopes between all pairs of samples.

    A fifth of the samples may lie anywhere and hardly move it, where least squares would follow
    one peak at the end. (Sen, P. K., 1968, JASA 63, 1379-1389.)
    """
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for i, earlier in enumerate(samples)
        for later in samples[i + 1 :]
        if later[0] > earlier[0]
    ]
    level = median(quantity for _, quantity in samples) if samples else 0.0
    return Line(level, median(slopes) if slopes else 0.0)
