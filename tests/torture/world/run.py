"""A whole run in one process, under one clock and one seed: the real supervisor, workers, limiter
and ledger; what is simulated is the machine below them and the provider before them.

The judge watches every request and every write, and looks at the ledger after each blow.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from penstock.engine import opening
from penstock.engine.channel import Channel
from penstock.engine.messages import FromWorker
from penstock.engine.region import Region
from penstock.engine.run import state_of
from penstock.engine.stopping import Stopped
from penstock.engine.supervisor import Supervisor
from penstock.errors import EXIT_COMPLETE, EXIT_PROVIDER
from penstock.ledger.run_directory import RunDirectory
from penstock.observe.observer import Observer
from penstock.sources.inputs import Inputs
from torture.world.judge import Judge
from torture.world.machine import Killed, Machine, Process
from torture.world.platter import Platter, ProcessDisk
from torture.world.plot import Plot
from torture.world.provider import Provider
from torture.world.trouble import Trouble
from torture.world.worker import Hand

LONGEST_SECONDS = 3600.0
ORPHANS_SECONDS = 2.0


class Lock:
    """In place of the run's lock: the world starts no supervisor while another lives."""

    def fileno(self) -> int:
        return -1

    def record_workers(self, pids: Iterable[int]) -> None:
        list(pids)


class World:
    """One seed's run, from its beginning to its completion over all epochs."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.folder = folder
        self.plot = Plot(seed)
        self.machine = Machine(f"machine {seed}")
        self.provider = Provider(self.plot)
        self.platter = Platter(folder / "run")
        self.run_dir = RunDirectory(folder / "run")
        self.hands: list[Hand] = []
        self.disks: dict[str, ProcessDisk] = {}
        self.judge = Judge(self)
        self.trouble = Trouble(self)
        self.epochs = 0
        self.supervisor: Supervisor | None = None
        self.opened: opening.OpenRun | None = None
        self.process: Process | None = None  # the supervisor's
        self.finished = False
        self.region: Region | None = None  # of the newest supervisor
        self.excused: set[int] = set()  # exit codes that something of ours explains

    def play(self) -> None:
        self.plot.write_input(self.folder)
        self.trouble.begin()
        self.begin_epoch()
        self.machine.run(lambda: self.finished, LONGEST_SECONDS)
        self.judge.check_end()

    # --- processes --------------------------------------------------------------------------------

    def spawn(
        self, name: str, main: Callable[[], Coroutine[Any, Any, int]], hand: Hand | None = None
    ) -> Process:
        machine, plot = self.machine, self.plot
        process = machine.spawn(name, main)
        slow = plot.disk_seconds
        process.delays = {"write": slow, "sync": slow, "write_checkpoint": slow, "end": 1.0}
        disk = ProcessDisk(self.platter, machine.dice, lambda: self.trouble.died_writing(process))
        if machine.dice.random() < plot.op_chance and self.trouble.may_kill:
            disk.dies_in = machine.dice.randrange(40)
        self.disks[name] = disk
        process.at_end.append(disk.abandon)
        if hand is not None:
            process.at_end.append(lambda: self.judge.ended(hand))
        return process

    def channel(self, hand: Hand, received: Any, lost: Any) -> Channel[FromWorker]:
        return Channel(FromWorker, lambda message, _: received(hand, message), lambda: lost(hand))

    def hand_of(self, process: Process | None) -> Hand:
        return next(hand for hand in reversed(self.hands) if hand.process is process)

    @property
    def run_id(self) -> str:
        return self.run_dir.manifest().run_id

    @property
    def living(self) -> list[Hand]:
        return [hand for hand in self.hands if hand.process.alive]

    def disk(self) -> ProcessDisk:
        """The disk as the process that runs now has it."""
        assert self.machine.current is not None
        return self.disks[self.machine.current.name]

    def exit(self, status: int) -> None:
        """os._exit of the process that runs now: an orphan's time is over."""
        assert self.machine.current is not None
        self.judge.dies(self.machine.current)
        self.machine.end(self.machine.current, status)
        raise Killed

    # --- epochs -----------------------------------------------------------------------------------

    def begin_epoch(self, waited: float = 0.0) -> None:
        """Start a supervisor once the workers of the last one are gone, as the lock has it."""
        if self.living:
            if waited >= ORPHANS_SECONDS:
                for hand in self.living:
                    hand.kill()
            self.machine.after(0.1, lambda: self.begin_epoch(waited + 0.1))
            return
        self.epochs += 1
        self.process = self.spawn(f"supervisor {self.epochs}", self._supervise)
        self.process.at_end.append(self._supervisor_ended)

    async def _supervise(self) -> int:
        plot, job = self.plot, self.plot.job(self.folder)
        disk = self.disk()
        provider = opening.provider_for(job)
        inputs = Inputs.open(job.inputs)
        columns = opening.output_columns(inputs.schema(), keep=job.keep, prefix="", id_column=None)
        sample = list(inputs.sample(opening.SAMPLE_RECORDS))
        checked = opening.Checked(inputs, provider, columns, None, sample)
        self.run_dir.prepare(disk)
        manifest = opening.adopt(job, disk, self.run_dir, checked)
        lock: Any = Lock()
        access = [opening.Access()]
        opened = opening.begin(job, disk, self.run_dir, lock, manifest, checked, access, {})
        self.judge.recovered(opened.recovered.account.done_in(0))
        self.opened = opened
        self.provider.begin_era(self.machine.now_ns, list(opened.plan.endpoints[0].buckets))
        self.supervisor = Supervisor(opened.plan, Observer(state_of(opened)), lambda event: None)
        stopped = await self.supervisor.run()
        self.machine.note("stopped", stopped.exit_code, plot.seed)
        return self._explained(stopped)

    def _explained(self, stopped: Stopped) -> int:
        code = stopped.exit_code
        assert code in {EXIT_COMPLETE, *self.excused}, stopped
        return code

    def _supervisor_ended(self) -> None:
        assert self.process is not None
        status, self.supervisor = self.process.status, None
        if status == EXIT_COMPLETE:
            assert not self.living, "a worker is left"
            self.finished = True
            return
        if status == EXIT_PROVIDER:
            self.provider.outage_kind = None
        for hand in self.living:  # the second rope
            self.machine.after(2.0, lambda hand=hand: self._pull(hand))  # type: ignore[misc]
        self.machine.after(self.machine.dice.uniform(0.05, 2), self.begin_epoch)

    def _pull(self, hand: Hand) -> None:
        if hand.process.stopped:
            self.machine.after(0.1, lambda: self._pull(hand))
        elif hand.process.alive:
            self.trouble.kill(hand.process, signal.SIGALRM)

    def dispose(self) -> None:
        self.machine.dispose()
        with suppress(OSError):
            shutil.rmtree(self.folder)
