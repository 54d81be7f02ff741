"""A whole run in one process, under one clock and one seed: the real supervisor, workers, limiter
and ledger; what is simulated is the machine below them and the provider before them.

The judge watches every request and every write, and looks at the ledger after each blow.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from penstock.engine import opening
from penstock.engine.asker import Sending
from penstock.engine.channel import Channel
from penstock.engine.messages import FromWorker
from penstock.engine.region import Region
from penstock.engine.retry import HEAP_PER_SLOT
from penstock.engine.run import state_of
from penstock.engine.stopping import Stopped
from penstock.engine.supervisor import Supervisor
from penstock.errors import EXIT_COMPLETE, EXIT_PROVIDER
from penstock.ledger.recovery import survey
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.segment_reader import SegmentReader
from penstock.observe.observer import Observer
from penstock.sources.inputs import Inputs
from torture.world import plot as blows
from torture.world.machine import SECOND_NS, Machine, Process
from torture.world.platter import Platter, ProcessDisk
from torture.world.plot import Plot
from torture.world.provider import (
    RESET,
    SILENT,
    UNAUTHORIZED,
    UNAVAILABLE,
    Exchange,
    Provider,
    answer,
)
from torture.world.worker import Hand

T = TypeVar("T")

LONGEST_SECONDS = 3600.0
MOST_STOPS = 20
ORPHANS_SECONDS = 2.0
MANY_ROWS = 30  # left, so that an outage is seen as one
WRITTEN_WITHIN_NS = 350_000_000  # and two beats: an answer is on the disk


def judged(method: Callable[..., T]) -> Callable[..., T]:
    """What a rule says of a process fails the test, whatever the process makes of the exception."""

    @wraps(method)
    def judge(self: World, *args: Any) -> T:
        try:
            return method(self, *args)
        except AssertionError as error:
            self.machine.complaints.append(str(error))
            raise

    return judge


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
        self.on_disk: set[int] = set()  # rows in a batch that is whole
        self.perhaps: set[int] = set()  # rows whose process died while it wrote them
        self.epochs = 0
        self.deaths = 0
        self.stops = 0
        self.supervisor: Supervisor | None = None
        self.opened: opening.OpenRun | None = None
        self.process: Process | None = None  # the supervisor's
        self.finished = False
        self.region: Region | None = None  # of the newest supervisor
        self._crashes: set[tuple[int, bool]] = set()
        self._excused: set[int] = set()  # exit codes that something of ours explains
        self.allowed = 0  # copies that the blows explain
        self.machine.before_step = self._fate

    def play(self) -> None:
        plot, machine = self.plot, self.machine
        plot.write_input(self.folder)
        for seconds, kind in plot.blows:
            machine.after(seconds, lambda kind=kind: self.blow(kind))  # type: ignore[misc]
        began, lasts = plot.outage
        if lasts:
            machine.after(began, self.outage)
            machine.after(began + lasts, self.outage_ends)
        if plot.fatal_at is not None:
            machine.after(
                plot.fatal_at, lambda: setattr(self.provider, "outage_kind", UNAUTHORIZED)
            )
        if plot.tuned_at is not None:
            machine.after(plot.tuned_at, self.tune)
        self.begin_epoch()
        machine.run(lambda: self.finished, LONGEST_SECONDS)
        self.check_end()

    # --- processes --------------------------------------------------------------------------------

    def spawn(
        self, name: str, main: Callable[[], Coroutine[Any, Any, int]], hand: Hand | None = None
    ) -> Process:
        machine, plot = self.machine, self.plot
        process = machine.spawn(name, main)
        slow = plot.disk_seconds
        process.delays = {"write": slow, "sync": slow, "write_checkpoint": slow, "end": 1.0}
        disk = ProcessDisk(self.platter, machine.dice, lambda: self._died_writing(process))
        if machine.dice.random() < plot.op_chance and self.deaths < plot.most_deaths:
            disk.dies_in = machine.dice.randrange(40)
        self.disks[name] = disk
        process.at_end.append(disk.abandon)
        if hand is not None:
            process.at_end.append(lambda: self._hand_ended(hand))
        return process

    def channel(self, hand: Hand, received: Any, lost: Any) -> Channel[FromWorker]:
        return Channel(FromWorker, lambda message, _: received(hand, message), lambda: lost(hand))

    def hand_of(self, process: Process | None) -> Hand:
        return next(hand for hand in reversed(self.hands) if hand.process is process)

    @property
    def living(self) -> list[Hand]:
        return [hand for hand in self.hands[-12:] if hand.process.alive]

    def disk(self) -> ProcessDisk:
        """The disk as the process that runs now has it."""
        assert self.machine.current is not None
        return self.disks[self.machine.current.name]

    def exit(self, status: int) -> None:
        """os._exit of the process that runs now: an orphan's time is over."""
        assert self.machine.current is not None
        self.dies(self.machine.current)
        self.machine.end(self.machine.current, status)

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
        opened = opening.begin(job, disk, self.run_dir, lock, manifest, checked, None, {})
        found = self._rows_of(opened.recovered.account.done_in(0))
        assert self.on_disk <= found, f"recovery does not find {self.on_disk - found}"
        assert found <= self.on_disk | self.perhaps, f"recovery finds {found - self.on_disk}"
        self.on_disk = found
        self.opened = opened
        self.provider.begin_era(self.machine.now_ns, list(opened.plan.buckets))
        self.supervisor = Supervisor(opened.plan, Observer(state_of(opened)), lambda event: None)
        stopped = await self.supervisor.run()
        self.machine.note("stopped", stopped.exit_code, plot.seed)
        return self._explained(stopped)

    def _explained(self, stopped: Stopped) -> int:
        code = stopped.exit_code
        assert code in {EXIT_COMPLETE, *self._excused}, stopped
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
            self.dies(hand.process)
            self.machine.kill(hand.process, signal.SIGALRM)

    # --- blows ------------------------------------------------------------------------------------

    def _fate(self, process: Process) -> None:
        """A process may be killed or stopped before any of its steps."""
        plot, dice = self.plot, self.machine.dice
        if plot.stop_chance and self.stops < MOST_STOPS and dice.random() < plot.stop_chance:
            self.stops += 1
            self.machine.stop(process, dice.choice([0.02, 0.2, 3.0]))
        if self.deaths < plot.most_deaths and dice.random() < plot.kill_chance:
            self.deaths += 1
            self.dies(process)
            self.machine.kill(process)

    def _died_writing(self, process: Process) -> None:
        self.deaths += 1
        self.dies(process)
        self.machine.kill(process)

    def crashes(self, hand: Hand, row: int) -> bool:
        """Whether a row crashes its worker this time; a fragile one does among others, and once in
        quarantine, which is not enough to be condemned."""
        crash = row, hand.quarantine
        if row in self.plot.fragile and crash not in self._crashes:
            self._crashes.add(crash)
            return True
        return row in self.plot.poisoned

    def segfault(self, process: Process) -> None:
        self.dies(process)
        self.machine.kill(process, signal.SIGSEGV)

    def blow(self, kind: str) -> None:
        machine, dice = self.machine, self.machine.dice
        machine.note("blow", kind)
        chosen = dice.choice(self.living).process if self.living else None
        supervisor = self.process if self.process and self.process.alive else None
        match kind:
            case blows.KILL if chosen:
                self.deaths += 1
                self.dies(chosen)
                machine.kill(chosen)
            case blows.PAUSE_PROCESS if chosen:
                machine.stop(chosen, dice.choice([0.06, 0.4, 3, 20]))
            case blows.HANG if chosen:
                machine.stop(chosen, 90)
            case blows.STOP_SUPERVISOR if supervisor:
                machine.stop(supervisor, dice.choice([0.3, 3, 40]))
            case blows.KILL_SUPERVISOR if supervisor:
                self.deaths += 1
                machine.kill(supervisor)
            case blows.TERMINATE if supervisor and self.supervisor:
                self._terminate(supervisor)
                if dice.random() < 0.3:
                    machine.after(dice.random(), lambda: self._terminate(supervisor))
            case blows.POWER:
                self.power_fails()
            case blows.SLEEP:
                machine.now_ns += int(dice.uniform(1, 60) * SECOND_NS)
                for process in machine.alive:
                    process.was_stopped = True

    def _terminate(self, process: Process) -> None:
        if process.alive and self.supervisor is not None:
            self._excused.add(128 + signal.SIGTERM)
            process.loop.call_soon(self.supervisor.interrupt, signal.SIGTERM)

    def power_fails(self) -> None:
        told = self._rows_of(self.opened.plan.books.done) if self.opened else set()
        self.deaths += 1
        for process in list(self.machine.alive):
            self.dies(process)
            self.machine.kill(process)
        self.platter.lose_power(self.machine.dice)
        kept = set()
        if self.run_dir.exists():
            kept = self._rows_of(survey(self.run_dir, opening_id(self.run_dir)).account.done_in(0))
        assert told <= kept, f"rows {told - kept} were told as committed and did not last"
        self.allowed += len(self.on_disk - kept)
        self.on_disk = kept

    def tune(self) -> None:
        """The user changes every limit of a live run."""
        if self.supervisor is None or self.region is None:
            return
        limiter, changed = self.region.limiter(), []
        for index, bucket in enumerate(self.provider.buckets):
            limit = max(1, int(bucket.limit * self.machine.dice.choice([0.5, 2.0])))
            new = msgspec.structs.replace(bucket, limit=limit, ceiling=min(bucket.ceiling, limit))
            changed.append(new)
            window_ns, late_ns = new.window_ns, new.late_ns
            limiter.tune(index, limit, window_ns, new.ceiling, late_ns, self.machine.now_ns)
        self.provider.begin_era(self.machine.now_ns, changed)

    def outage(self) -> None:
        kind = RESET
        if self.plot.rows - len(self.on_disk) >= MANY_ROWS:
            kind = self.machine.dice.choice([RESET, UNAVAILABLE, SILENT])
        self.provider.outage_kind = kind

    def outage_ends(self) -> None:
        if self.provider.outage_kind != UNAUTHORIZED:
            self.provider.outage_kind = None

    # --- judging ----------------------------------------------------------------------------------

    @judged
    def received(self, hand: Hand, row: int, sending: Sending) -> Exchange:
        """A worker sent a request: may it?"""
        now_ns, limiter = self.machine.now_ns, sending._asker._limiter
        assert hand.process.alive, f"{hand.name} is dead"
        assert row not in self.on_disk, f"row {row} is asked for though it is on the disk"
        assert now_ns >= limiter.paused_until(), f"row {row} is asked for in a pause"
        late_ns = min((bucket.late_ns for bucket in self.provider.buckets), default=now_ns)
        assert now_ns - sending.charged_ns <= late_ns, f"row {row} has a ticket that is void"
        predicted = sending.input_tokens, sending.output_tokens
        exchange = self.provider.receive(hand, row, now_ns, predicted)
        self.machine.note("sent", hand.name, row)
        if self.provider.outage_kind == UNAUTHORIZED:
            self._excused.add(EXIT_PROVIDER)
        hand.sends(row)
        assert len(self.provider.open) <= self.plot.slots + 1, "more in flight than slots"
        assert hand.worker is not None
        waiting = hand.worker._work.retry_waiting
        assert waiting <= (HEAP_PER_SLOT + 1) * hand.slots, f"{waiting} on the heap"
        return exchange

    @judged
    def wrote(self, hand: Hand, rows: list[int]) -> None:
        """A batch is whole on the disk."""
        again = self.on_disk.intersection(rows)
        assert not again, f"rows {again} are written again"
        self.on_disk.update(rows)
        for row in rows:
            hand.unwritten.pop(row, None)

    @judged
    def dies(self, process: Process) -> None:
        """A process is about to be killed: what may be lost by that?"""
        hand = next((one for one in self.living if one.process is process), None)
        if hand is None:
            return
        self.allowed += sum(one.hand is hand for one in self.provider.open.values())
        self.allowed += len(hand.unwritten)
        within_ns = WRITTEN_WITHIN_NS + int(2e9 * self.plot.beat_seconds)
        quick = not process.was_stopped and self.plot.disk_seconds < 0.1
        for row, since_ns in hand.unwritten.items():
            age_ns = self.machine.now_ns - since_ns
            late = quick and age_ns > within_ns
            assert not late, f"row {row} was answered {age_ns / 1e9} s ago and is not written"
        hand.unwritten.clear()

    @judged
    def _hand_ended(self, hand: Hand) -> None:
        for exchange in [one for one in self.provider.open.values() if one.hand is hand]:
            self.provider.ended(exchange)
        assert not hand.unwritten, f"{hand.name} ended and left {hand.unwritten} unwritten"

    def check_end(self) -> None:
        """Every row ended once, as it must; what was bought twice is explained."""
        plot = self.plot
        endings: dict[int, tuple[str, str]] = {}
        for name in self.run_dir.segment_sizes():
            for found in SegmentReader(self.run_dir.segment_path(name), opening_id(self.run_dir)):
                columns = ("row", "error_class", "output")
                values = [found.batch.column(column).to_pylist() for column in columns]
                for row, error_class, output in zip(*values, strict=True):
                    assert row not in endings, f"row {row} ended twice"
                    endings[row] = error_class or "", output
        assert sorted(endings) == list(range(plot.rows))
        for row, (error_class, output) in endings.items():
            must = plot.must_end(row)
            assert error_class == must, f"row {row} ended as {error_class!r}, not as {must!r}"
            assert must or output == answer(row), f"row {row} has the answer {output!r}"
        self.provider.check_limits()
        twice = sum(self.provider.bought.values()) - len(self.provider.bought)
        assert twice <= self.allowed, f"{twice} answers were bought twice, {self.allowed} may be"

    def _rows_of(self, done: Any) -> set[int]:
        return {row for row in range(self.plot.rows) if row in done}

    def dispose(self) -> None:
        self.machine.dispose()
        with suppress(OSError):
            shutil.rmtree(self.folder)


def opening_id(run_dir: RunDirectory) -> str:
    return run_dir.manifest().run_id
