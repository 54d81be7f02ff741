from __future__ import annotations

from penstock.observe.events import Throttled
from penstock.observe.throttle_digest import ThrottleDigest

SECOND = 1_000_000_000


def test_the_first_throttle_is_told_at_once() -> None:
    assert ThrottleDigest().observe(1, 5 * SECOND) == Throttled(answers=1, seconds=0.0)


def test_later_ones_are_told_together() -> None:
    digest = ThrottleDigest()
    told = [digest.observe(second * 10, second * SECOND) for second in range(26)]
    assert [(index, event) for index, event in enumerate(told) if event is not None] == [
        (1, Throttled(answers=10, seconds=0.0)),
        (11, Throttled(answers=100, seconds=10.0)),
        (21, Throttled(answers=100, seconds=10.0)),
    ]


def test_nothing_is_told_while_nothing_is_throttled() -> None:
    digest = ThrottleDigest()
    assert digest.observe(0, 0) is None
    digest.observe(1, SECOND)
    assert digest.observe(1, 100 * SECOND) is None
