"""A worker process as its supervisor sees it: spawned, spoken to, killed, waited for."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable

import msgspec

from penstock._core import Slab, monotonic_ns
from penstock.engine.channel import Channel
from penstock.engine.messages import FromWorker
from penstock.observe.slab_layout import C

STDERR_TAIL_BYTES = 8192
LAST_WORDS_SECONDS = 1.0  # for a worker whose socket has ended to end itself


class WorkerProcess:
    """One incarnation of a worker. `number` is never used again in its epoch, `seat` is."""

    def __init__(
        self, number: int, seat: int, slots: int, slab: Slab, quarantine: bool = False
    ) -> None:
        self.number = number
        self.seat = seat
        self.slots = slots
        self.slab = slab
        self.quarantine = quarantine
        self.started_ns = monotonic_ns()
        self.ready = False
        self.said_goodbye = False
        self.gone = False
        self.failure: str | None = None  # its own words, with a traceback
        self.accuses = False
        self.was_hung = False

    async def spawn(
        self,
        region: int,
        inherited: tuple[int, ...],
        received: Callable[[WorkerProcess, FromWorker], None],
        lost: Callable[[WorkerProcess], None],
    ) -> None:
        """Start the process and connect to it. Raises OSError where the system can't."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # read after the worker's end
        tied = threading.current_thread() is threading.main_thread()
        command = [sys.executable, "-P", "-m", "penstock.engine.worker"]
        numbers = (theirs.fileno(), region, os.getpid(), int(tied))
        try:
            self._process = subprocess.Popen(  # noqa: ASYNC220  # asyncio's would reap it for us
                [*command, *map(str, numbers)],
                pass_fds=(theirs.fileno(), region, *inherited),
                stdin=subprocess.DEVNULL,
                stdout=self._stderr,
                stderr=self._stderr,
            )
        except OSError:
            ours.close()
            self._stderr.close()
            raise
        finally:
            theirs.close()
        self._channel: Channel[FromWorker] = Channel(
            FromWorker, lambda message, _: received(self, message), lambda: lost(self)
        )
        await asyncio.get_running_loop().create_connection(lambda: self._channel, sock=ours)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: msgspec.Struct, payload: bytes = b"") -> None:
        """Send a message; lost without a word where the process is gone."""
        self._channel.send(message, payload)

    def silent_ns(self, now_ns: int, since_ns: int) -> int:
        """How long its event loop has given no sign of life; what was before `since_ns` is none."""
        return now_ns - max(self.started_ns, self.slab.get(C.HEARTBEAT_NS), since_ns)

    def kill(self) -> None:
        """SIGKILL; the socket's end tells when it is gone."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)

    def end(self) -> int:
        """Reap it, killed if it does not end by itself; returns the exit status as Popen gives it.

        It blocks. A worker whose socket has ended is on its way out, and a traceback on its way to
        standard error: killed at once, it would take that along.
        """
        try:
            return self._process.wait(LAST_WORDS_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def last_words(self) -> str:
        """What it wrote to standard error, at most the end of it."""
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - STDERR_TAIL_BYTES))
        return self._stderr.read().decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Drop what is kept of it."""
        self._channel.close()
        self._stderr.close()
