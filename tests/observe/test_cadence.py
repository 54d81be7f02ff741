from __future__ import annotations

from typing import Any

import pytest

from observe.samples import a_snapshot
from penstock.observe.cadence import Cadence


def after_the_first() -> Cadence:
    cadence = Cadence(5.0)
    assert cadence.passes(a_snapshot())
    return cadence


def test_the_first_snapshot_passes_and_the_same_again_does_not() -> None:
    assert not after_the_first().passes(a_snapshot())


def test_one_passes_every_few_seconds() -> None:
    cadence = after_the_first()
    assert not cadence.passes(a_snapshot(elapsed_seconds=65.9))
    assert cadence.passes(a_snapshot(elapsed_seconds=66.0))
    assert not cadence.passes(a_snapshot(elapsed_seconds=70.9))


@pytest.mark.parametrize(
    "change", [{"phase": "draining"}, {"endpoint_up": {"http://127.0.0.1:8000/v1": False}}]
)
def test_a_change_of_state_passes_at_once(change: dict[str, Any]) -> None:
    assert after_the_first().passes(a_snapshot(**change))
