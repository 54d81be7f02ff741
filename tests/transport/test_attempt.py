"""An attempt on its way through aiohttp: its clock, and whether it may be written once more."""

from __future__ import annotations

import asyncio

import pytest

from penstock.transport.attempt import Attempt
from penstock.transport.transport import Counters
from penstock.transport.wire import Wire


def test_the_time_goes_on_over_a_replaced_connection() -> None:
    async def main() -> None:
        attempt = Attempt(None, timeout_seconds=100.0)
        wire = Wire(asyncio.get_running_loop(), Counters())
        began = asyncio.get_running_loop().time()
        async with attempt.deadline:
            attempt.take(wire, began)
            assert attempt.deadline.when() == began + 100.0
            attempt.repeat()
            attempt.take(wire, began + 60.0)
            assert attempt.deadline.when() == began + 100.0

    asyncio.run(main())


@pytest.mark.parametrize(
    ("requests", "answering", "may"), [(1, False, True), (0, False, False), (1, True, False)]
)
def test_only_what_idled_and_has_not_answered_is_replaced(
    requests: int, answering: bool, may: bool
) -> None:
    async def main() -> None:
        attempt = Attempt(None, timeout_seconds=100.0)
        assert not attempt.may_repeat(), "there was no connection"
        wire = Wire(asyncio.get_running_loop(), Counters())
        wire.requests = requests
        async with attempt.deadline:
            attempt.take(wire, asyncio.get_running_loop().time())
        wire.answering = answering
        assert attempt.may_repeat() is may

    asyncio.run(main())
