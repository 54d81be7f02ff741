"""A socket pair between two simulated processes: bytes arrive late, in order, and to the end."""

from __future__ import annotations

from typing import Any

from torture.world.loop import ProcessLoop
from torture.world.machine import Machine

SLOWEST_NS = 2_000_000


class End:
    """One end; the transport of the protocol that is connected to it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.peer: End
        self._loop: ProcessLoop | None = None
        self._protocol: Any = None
        self._early: list[tuple[int, bytes | None]] = []
        self._last_ns = 0
        self._closing = False
        self._lost = False

    def connect(self, loop: ProcessLoop, protocol: Any) -> None:
        self._loop, self._protocol = loop, protocol
        protocol.connection_made(self)
        for when_ns, data in self._early:
            self._arrives(when_ns, data)

    def write(self, data: bytes) -> None:
        if not self._closing:
            self._deliver(data)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Of our own will: the other end learns of it after what was written."""
        self.hang_up()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon(self._take, None)

    def hang_up(self) -> None:
        """The process that holds this end is gone, or closes it."""
        if not self._closing:
            self._closing = True
            self._deliver(None)

    def _deliver(self, data: bytes | None) -> None:
        delay_ns = self._machine.dice.randrange(SLOWEST_NS)
        self._last_ns = max(self._last_ns + 1000, self._machine.now_ns + delay_ns)
        self.peer._arrives(self._last_ns, data)

    def _arrives(self, when_ns: int, data: bytes | None) -> None:
        if self._loop is None:
            self._early.append((when_ns, data))
        elif not self._loop.is_closed():
            self._loop.call_at(when_ns / 1e9, self._take, data)

    def _take(self, data: bytes | None) -> None:
        if self._lost:
            return
        if data is None:
            self._lost = self._closing = True
            self._protocol.connection_lost(None)
        else:
            self._protocol.data_received(data)


def pipe(machine: Machine) -> tuple[End, End]:
    """Two ends, each the other's peer."""
    ours, theirs = End(machine), End(machine)
    ours.peer, theirs.peer = theirs, ours
    return ours, theirs
