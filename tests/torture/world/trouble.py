"""What happens to a simulated world: processes die, stop and crash, and the power fails."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import msgspec

from penstock.ledger.rows import RowSet
from torture.world import plot as blows
from torture.world.machine import SECOND_NS, Process
from torture.world.provider import RESET, SILENT, UNAUTHORIZED, UNAVAILABLE

if TYPE_CHECKING:
    from torture.world.run import World
    from torture.world.worker import Hand

MANY_ROWS = 30  # left, so that an outage is seen as one
MOST_STOPS = 20


class Trouble:
    """One for each world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._plot, self._machine, self._provider = world.plot, world.machine, world.provider
        self.deaths = 0
        self.stops = 0
        self._crashes: set[tuple[int, bool]] = set()
        world.machine.before_step = self._fate

    def begin(self) -> None:
        """Put in the machine's calendar what the plot says."""
        plot, machine = self._plot, self._machine
        for seconds, kind in plot.blows:
            machine.after(seconds, lambda kind=kind: self._blow(kind))  # type: ignore[misc]
        began, lasts = plot.outage
        if lasts:
            machine.after(began, self._outage)
            machine.after(began + lasts, self._outage_ends)
        if plot.fatal_at is not None:
            machine.after(plot.fatal_at, self._refuse)
        if plot.tuned_at is not None:
            machine.after(plot.tuned_at, self._tune)

    @property
    def may_kill(self) -> bool:
        """Whether there is a death left."""
        return self.deaths < self._plot.most_deaths

    def kill(self, process: Process, number: signal.Signals = signal.SIGKILL) -> None:
        """A process ends by a signal, and what that may cost is noted."""
        self._world.judge.dies(process)
        self._machine.kill(process, number)

    def died_writing(self, process: Process) -> None:
        """A process came to its last operation on the disk."""
        self.deaths += 1
        self.kill(process)

    def crashes(self, hand: Hand, row: int) -> bool:
        """Whether a row crashes its worker this time; a fragile one does among others, and once in
        quarantine, which is not enough to be condemned."""
        crash = row, hand.quarantine
        if row in self._plot.fragile and crash not in self._crashes:
            self._crashes.add(crash)
            return True
        return row in self._plot.poisoned

    # --- in the machine's calendar ----------------------------------------------------------------

    def _fate(self, process: Process) -> None:
        """A process may be killed or stopped before any of its steps."""
        plot, dice = self._plot, self._machine.dice
        if plot.stop_chance and self.stops < MOST_STOPS and dice.random() < plot.stop_chance:
            self.stops += 1
            self._machine.stop(process, dice.choice([0.02, 0.2, 3.0]))
        if self.may_kill and dice.random() < plot.kill_chance:
            self.deaths += 1
            self.kill(process)

    def _blow(self, kind: str) -> None:
        world, machine, dice = self._world, self._machine, self._machine.dice
        machine.note("blow", kind)
        chosen = dice.choice(world.living).process if world.living else None
        supervisor = world.process if world.process and world.process.alive else None
        match kind:
            case blows.KILL if chosen:
                self.deaths += 1
                self.kill(chosen)
            case blows.PAUSE_PROCESS if chosen:
                machine.stop(chosen, dice.choice([0.06, 0.4, 3, 20]))
            case blows.HANG if chosen:
                machine.stop(chosen, 90)
            case blows.STOP_SUPERVISOR if supervisor:
                machine.stop(supervisor, dice.choice([0.3, 3, 40]))
            case blows.KILL_SUPERVISOR if supervisor:
                self.deaths += 1
                machine.kill(supervisor)
            case blows.TERMINATE if supervisor and world.supervisor:
                self._terminate(supervisor)
                if dice.random() < 0.3:
                    machine.after(dice.random(), lambda: self._terminate(supervisor))
            case blows.POWER:
                self._power_fails()
            case blows.SLEEP:
                machine.now_ns += int(dice.uniform(1, 60) * SECOND_NS)
                for process in machine.alive:
                    process.was_stopped = True

    def _terminate(self, process: Process) -> None:
        supervisor = self._world.supervisor
        if process.alive and supervisor is not None:
            self._world.excused.add(128 + signal.SIGTERM)
            process.loop.call_soon(supervisor.interrupt, signal.SIGTERM)

    def _power_fails(self) -> None:
        opened = self._world.opened
        told = opened.plan.books.done.copy() if opened else RowSet()
        self.deaths += 1
        for process in list(self._machine.alive):
            self.kill(process)
        self._world.platter.lose_power(self._machine.dice)
        self._world.judge.power_is_back(told)

    def _tune(self) -> None:
        """The user changes every limit of a live run."""
        world = self._world
        if world.supervisor is None or world.region is None:
            return
        limiter, changed = world.region.limiter(), []
        for index, bucket in enumerate(self._provider.buckets):
            changed.append(bucket)
            if bucket.limit is None:
                continue
            limit = max(1, int(bucket.limit * self._machine.dice.choice([0.5, 2.0])))
            new = msgspec.structs.replace(bucket, limit=limit, ceiling=min(bucket.ceiling, limit))
            changed[-1] = new
            window_ns, late_ns = new.window_ns, new.late_ns
            limiter.tune(index, limit, window_ns, new.ceiling, late_ns, self._machine.now_ns)
        self._provider.begin_era(self._machine.now_ns, changed)

    def _outage(self) -> None:
        kind = RESET
        if self._plot.rows - len(self._world.judge.on_disk) >= MANY_ROWS:
            kind = self._machine.dice.choice([RESET, UNAVAILABLE, SILENT])
        self._provider.outage_kind = kind

    def _outage_ends(self) -> None:
        if self._provider.outage_kind != UNAUTHORIZED:
            self._provider.outage_kind = None

    def _refuse(self) -> None:
        """The key is refused from now on."""
        self._provider.outage_kind = UNAUTHORIZED
