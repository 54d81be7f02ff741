"""SIGINT and SIGTERM are heard in the main thread while a run lasts, and left as they were."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest

from penstock.engine.signals import HEARD, Switch, heard


@pytest.mark.parametrize("number", HEARD)
def test_a_signal_is_heard_while_it_lasts_and_the_handler_before_is_back_after(
    number: signal.Signals,
) -> None:
    before = signal.getsignal(number)
    came: list[signal.Signals] = []

    async def main() -> None:
        arrived = asyncio.Event()

        def hear(one: signal.Signals) -> None:
            came.append(one)
            arrived.set()

        with heard(hear):
            os.kill(os.getpid(), number)
            await asyncio.wait_for(arrived.wait(), 10)

    asyncio.run(main())
    assert came == [number]
    assert signal.getsignal(number) == before


def test_a_signal_that_is_ignored_is_ignored_as_before() -> None:
    """Who starts a run by nohup wants it to go on when the terminal is closed."""
    came: list[signal.Signals] = []

    async def main() -> None:
        with heard(came.append):
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        asyncio.run(main())
        assert came == []
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_off_the_main_thread_nothing_is_heard_and_nothing_raises() -> None:
    failures: list[BaseException] = []

    async def main() -> None:
        with heard(lambda number: None):
            pass

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failures.append(error)

    before = [signal.getsignal(number) for number in HEARD]
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert failures == []
    assert [signal.getsignal(number) for number in HEARD] == before


def test_a_switch_that_is_pressed_from_another_thread_is_heard_on_the_loop() -> None:
    came: list[signal.Signals] = []
    switch = Switch()

    async def main() -> None:
        with switch.wired(came.append):
            await asyncio.to_thread(switch.press)
            await asyncio.to_thread(switch.press, signal.SIGTERM)
            while len(came) < 2:  # noqa: ASYNC110  # both are on their way
                await asyncio.sleep(0)

    asyncio.run(main())
    assert came == [signal.SIGINT, signal.SIGTERM]


def test_what_was_pressed_before_the_run_listens_counts_when_it_does() -> None:
    came: list[signal.Signals] = []
    switch = Switch()
    switch.press(signal.SIGTERM)

    async def main() -> None:
        with switch.wired(came.append):
            await asyncio.sleep(0)
        switch.press()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert came == [signal.SIGTERM]


@pytest.mark.parametrize("number", HEARD)
def test_signals_press_a_switch_in_the_main_thread_and_are_left_as_they_were(
    number: signal.Signals,
) -> None:
    before = signal.getsignal(number)
    came: list[signal.Signals] = []
    switch = Switch()

    async def main() -> None:
        with switch.wired(came.append):
            await asyncio.sleep(0)

    with switch.pressed_by_signals():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before
    asyncio.run(main())
    assert came == [number]
