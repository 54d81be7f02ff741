"""A machine of a seed: its clock, and its processes, of which one runs at a time.

Which process runs next, for how long, and how late a timer wakes it is the dice's to say. Nothing
here knows what the processes do.
"""

from __future__ import annotations

import heapq
import signal
import warnings
from collections.abc import Callable, Coroutine
from random import Random
from typing import TYPE_CHECKING, Any

import xxhash

from torture.world.loop import ProcessLoop

if TYPE_CHECKING:
    from torture.world.pipe import End

START_NS = 1_000_000_000_000
SECOND_NS = 1_000_000_000
LATEST_NS = 1_500_000  # a timer's lateness
BUSIEST_NS = 60_000  # of one step


class Killed(SystemExit):
    """Raised where the process that runs now ends in the midst of what it does."""


class Process:
    """A process; `main` returns its exit status. One that is stopped goes on where it was."""

    def __init__(
        self, machine: Machine, name: str, main: Callable[[], Coroutine[Any, Any, int]]
    ) -> None:
        self.machine = machine
        self.name = name
        self.status: int | None = None
        self.stopped = False
        self.was_stopped = False
        self.loop = ProcessLoop(self)
        self.ends: list[End] = []
        self.at_end: list[Callable[[], None]] = []
        self.delays: dict[str, float] = {}  # the longest time of what runs on threads, by name
        self._main = self.loop.create_task(main())

    @property
    def alive(self) -> bool:
        return self.status is None

    def due_ns(self) -> int | None:
        return None if self.stopped else self.loop.due_ns()

    def step(self) -> None:
        """Go on for a while. What `main` raises is a bug, and raised here."""
        try:
            self.loop.step()
        except Killed:
            return
        if self._main.done() and self.alive:
            self.machine.end(self, self._main.result())

    def delay(self, func: Callable[..., Any]) -> float:
        """How long a function takes that runs on a thread."""
        inner = getattr(func, "args", (func,))[0]  # of asyncio.to_thread's partial
        return self.machine.dice.random() * self.delays.get(inner.__name__, 0.01)

    def complain(self, said: dict[str, Any]) -> None:
        if self.alive and not self.machine.over:
            self.machine.complaints.append(f"{self.name}: {said}")


class Machine:
    """The processes, the clock and what is going to happen to them."""

    def __init__(self, seed: int | str) -> None:
        self.dice = Random(seed)
        self.now_ns = START_NS
        self.alive: list[Process] = []
        self.dead: list[Process] = []
        self.current: Process | None = None
        self.over = False
        self.steps = 0
        self.complaints: list[str] = []
        self.before_step: Callable[[Process], None] = lambda process: None
        self._trace = xxhash.xxh3_64()
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    @property
    def trace(self) -> str:
        """The same for two runs that took the same course."""
        return self._trace.hexdigest()

    def note(self, *what: object) -> None:
        """Put down what happened."""
        self._trace.update(repr((self.now_ns, *what)).encode())

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        self._count += 1
        when_ns = self.now_ns + int(seconds * SECOND_NS)
        heapq.heappush(self._events, (when_ns, self._count, what))

    def spawn(self, name: str, main: Callable[[], Coroutine[Any, Any, int]]) -> Process:
        process = Process(self, name, main)
        self.alive.append(process)
        self.note("spawn", name)
        return process

    def end(self, process: Process, status: int) -> None:
        """A process is gone: its sockets end, and it never runs again."""
        if not process.alive:
            return
        self.note("end", process.name, status)
        process.status = status
        self.alive.remove(process)
        self.dead.append(process)
        for end in process.ends:
            end.hang_up()
        for what in process.at_end:
            what()

    def kill(self, process: Process, number: signal.Signals = signal.SIGKILL) -> None:
        self.end(process, -number)

    def stop(self, process: Process, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after a while."""
        if process.alive and not process.stopped:
            self.note("stop", process.name)
            process.stopped = process.was_stopped = True
            self.after(seconds, lambda: setattr(process, "stopped", False))

    def run(self, finished: Callable[[], bool], most_seconds: float) -> None:
        """Go on until it is finished."""
        latest_ns = self.now_ns + int(most_seconds * SECOND_NS)
        while not finished():
            if self.now_ns > latest_ns:
                raise AssertionError(f"the run does not end within {most_seconds} s")
            self._next()
            assert not self.complaints, self.complaints[0]

    def _next(self) -> None:
        """Let one process that can go on do so; else put the clock forward."""
        dues = [(due, process) for process in self.alive if (due := process.due_ns()) is not None]
        able = [process for due, process in dues if due <= self.now_ns]
        if self._events and self._events[0][0] <= self.now_ns:
            heapq.heappop(self._events)[2]()
        elif able:
            process = able[0] if len(able) == 1 else self.dice.choice(able)
            self._step(process)
        else:
            whens = [due for due, _ in dues] + [when for when, *_ in self._events[:1]]
            assert whens, "nothing is due any more"
            self.now_ns = max(self.now_ns, min(whens)) + self.dice.randrange(LATEST_NS)

    def _step(self, process: Process) -> None:
        self.before_step(process)
        if not process.alive or process.stopped:
            return
        self.steps += 1
        self._trace.update(b"%d %s" % (self.now_ns, process.name.encode()))
        self.current = process
        try:
            process.step()
        finally:
            self.current = None
        self.now_ns += self.dice.randrange(BUSIEST_NS)

    def dispose(self) -> None:
        """Leave nothing behind."""
        self.over = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of coroutines that never began
            for process in [*self.dead, *self.alive]:
                process.loop.dispose()
