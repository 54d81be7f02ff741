"""A simulator in a process of its own, which ends with the process that wanted it.

The settings go over its standard input (a key in argv could be read by anyone), which stays open
after them: its end tells the child that its parent is gone, however that went.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
import threading
from typing import Any
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

import msgspec

from penstock.errors import EngineError, PenstockError, UsageError
from penstock.simulator.server import run_until
from penstock.simulator.settings import Settings

START_SECONDS = 30.0
STOP_SECONDS = 5.0
ASK_SECONDS = 30.0


class Greeting(msgspec.Struct):
    """The child's one line on standard output: where it listens, or why it can't."""

    base_url: str = ""
    what: str = ""
    next_step: str = ""


class SimulatorProcess:
    """A running simulator; a context manager that stops it."""

    def __init__(self, process: subprocess.Popen[bytes], base_url: str, settings: Settings) -> None:
        self.base_url = base_url
        self.settings = settings
        self._process = process

    @property
    def origin(self) -> str:
        """Its scheme, host and port."""
        return self.base_url.removesuffix("/v1")

    @property
    def pid(self) -> int:
        return self._process.pid

    def stats(self) -> dict[str, Any]:
        """What it saw so far: see `Simulator.stats`. Raises OSError where it can't be asked."""
        return dict(msgspec.json.decode(self._ask("GET", "/stats")))

    def reset(self) -> None:
        """Makes it forget all that it counted. Raises OSError where it can't be asked."""
        self._ask("POST", "/reset")

    def stop(self) -> None:
        """Ends it; does nothing the second time."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> SimulatorProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _ask(self, method: str, path: str) -> bytes:
        request = Request(self.origin + path, method=method)
        tls = ssl.create_default_context(cafile=self.settings.certfile)
        # Without the environment's proxies: it is on this machine.
        opener = build_opener(ProxyHandler({}), HTTPSHandler(context=tls))
        with opener.open(request, timeout=ASK_SECONDS) as answer:
            return bytes(answer.read())


def spawn(settings: Settings | None = None) -> SimulatorProcess:
    """Starts a simulator and returns once it listens.

    It is in a session of its own, so that Ctrl+C reaches the run that uses it and not the server
    that the run's last answers come from. Raises UsageError where it can't listen, EngineError
    where it does not start at all.
    """
    settings = settings or Settings()
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock.simulator"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    simulator = SimulatorProcess(process, "", settings)
    try:
        greeting = shake_hands(process, settings)
        if greeting.what:
            raise UsageError(greeting.what, greeting.next_step)
    except BaseException:
        simulator.stop()
        raise
    simulator.base_url = greeting.base_url
    return simulator


def shake_hands(process: subprocess.Popen[bytes], settings: Settings) -> Greeting:
    """Sends the settings and reads the greeting. Raises EngineError where none comes."""
    assert process.stdin is not None and process.stdout is not None
    # A child that neither speaks nor dies must not hang its parent for ever.
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    try:
        process.stdin.write(msgspec.json.encode(settings) + b"\n")
        line = process.stdout.readline()
    except BrokenPipeError:
        line = b""
    finally:
        watchdog.cancel()
    if not line:
        raise EngineError(
            f"the simulator did not start (exit status {process.wait()})",
            "Its own message is on standard error above this.",
        )
    return msgspec.json.decode(line, type=Greeting)


def greet(greeting: Greeting) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(greeting) + b"\n")
    sys.stdout.buffer.flush()


def child_main() -> int:
    """The child's whole life: settings from stdin, a greeting to stdout, serve until stdin ends."""
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=Settings)
    try:
        run_until(settings, lambda url: greet(Greeting(base_url=url)), stdin_ended)
    except PenstockError as error:
        greet(Greeting(what=error.what, next_step=error.next_step))
        return error.exit_code
    return 0


async def stdin_ended() -> None:
    """Returns when whoever holds the other end of standard input is gone."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def readable() -> None:
        if not os.read(0, 4096):
            ended.set()

    loop.add_reader(0, readable)
    await ended.wait()
    loop.remove_reader(0)
