"""How many descriptors are allowed, and how many slots they are enough for."""

from __future__ import annotations

import pytest

from penstock.engine import descriptors
from penstock.errors import EngineError

NONE = descriptors.resource.RLIM_INFINITY


def test_the_soft_limit_is_raised_as_far_as_the_hard_one_lets_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[tuple[int, int]] = []
    for limits in ((10, 100), (100, 100), (10, NONE), (NONE, NONE)):
        monkeypatch.setattr(descriptors.resource, "getrlimit", lambda _, limits=limits: limits)
        monkeypatch.setattr(descriptors.resource, "setrlimit", lambda _, one: given.append(one))
        descriptors.allow(5)
        descriptors.allow(200)
    assert given == [(100, 100), (100, 100), (200, NONE)]


@pytest.mark.parametrize(
    ("slots", "workers", "allowed", "fitting"),
    [
        (300, 1, 1024, 300),
        (2048, 4, 1024, 2048),
        (2048, 1, 1024, 960),
        (300, 2, 100, 100),
        (300, 1, 40, 12),
        (8, 8, 30, 8),
    ],
)
def test_slots_are_as_many_as_descriptors_are_enough_for(
    slots: int, workers: int, allowed: int, fitting: int
) -> None:
    assert descriptors.slots_that_fit(slots, workers, allowed) == fitting


def test_workers_are_as_many_as_the_supervisor_has_descriptors_for() -> None:
    assert descriptors.workers_that_fit(8, 1024) == 8
    assert descriptors.workers_that_fit(8, 40) == 3
    assert descriptors.workers_that_fit(8, 20) == 1


def test_so_few_descriptors_that_nothing_works_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "allowed", lambda: descriptors.LEAST)
    descriptors.check()
    monkeypatch.setattr(descriptors, "allowed", lambda: descriptors.LEAST - 1)
    with pytest.raises(EngineError, match="31 files"):
        descriptors.check()
