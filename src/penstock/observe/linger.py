"""How long the metrics stay up after a run's end, so that a last scrape sees its final figures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

MOST_SECONDS = 60.0
INTERVALS = 2

# How many of the latest gaps are looked at. The largest of them counts: with two scrapers the gaps
# alternate, and one that is missed must not end the wait.
RECENT_GAPS = 4


def linger_seconds(scrape_times: Sequence[float], ended_at: float, now: float) -> float:
    """How much longer to serve: two observed scrape intervals from the end, at most 60 s.

    0 where nobody scraped. One scrape tells no interval, so the most is waited; a second one, after
    the end, may shorten that. All times are seconds of one monotonic clock.
    """
    if not scrape_times:
        return 0.0
    gaps = [later - earlier for earlier, later in pairwise(scrape_times)][-RECENT_GAPS:]
    wait = min(MOST_SECONDS, INTERVALS * max(gaps)) if gaps else MOST_SECONDS
    return max(0.0, wait - (now - ended_at))
