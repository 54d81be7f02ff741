"""A run from start to end: open, supervise, export, report."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import traceback
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import uvloop

from penstock._core import monotonic_ns, wall_us
from penstock.disk import Disk
from penstock.engine.credentials import secrets_of
from penstock.engine.opening import OpenRun, open_run
from penstock.engine.pricing import asked_models
from penstock.engine.reporting import report_of
from penstock.engine.signals import Switch, heard
from penstock.engine.stopping import Stopped, complete
from penstock.engine.supervisor import Supervisor
from penstock.engine.watch import metrics_listener, watched
from penstock.errors import (
    EngineError,
    InputError,
    Interrupted,
    LedgerError,
    PenstockError,
    RowMissing,
)
from penstock.job import Job
from penstock.ledger.checkpoint import void_checkpoint
from penstock.ledger.summary import write_summary
from penstock.observe import events
from penstock.observe.log import Log
from penstock.observe.observer import Observer
from penstock.observe.progress import Progress
from penstock.observe.redactor import Redactor
from penstock.observe.report import Report
from penstock.observe.state import Endpoint, RunState

if TYPE_CHECKING:
    from penstock.ledger.export import ExportReport

LATE = ("penstock.ledger.export", "penstock.observe.metrics")
LOOK_SECONDS = 0.05
COUNT_SECONDS = 1.0  # that a run which was stopped early waits, so as to say what is left


def run(
    job: Job,
    environment: Mapping[str, str],
    progress: Progress,
    *,
    objects: Any = None,
    stdin: BinaryIO | None = None,
    command: str = "",
    switch: Switch | None = None,
    explicit: Collection[str] = (),
) -> Report:
    """Take a job's records through its provider, or resume; returns how that ended. It blocks.

    `explicit` are the options that were given this time, and so go before what was tuned.
    SIGINT and SIGTERM stop it where they can be heard, and `switch` from any thread.
    Raises PenstockError for what is wrong before the first request; what stops a run under way is
    in the report's exit code and words.
    """
    with (
        metrics_listener(job, progress.note) as listener,
        open_run(job, environment, objects=objects, stdin=stdin, explicit=explicit) as opened,
    ):
        conductor = Conductor(opened, progress, command, switch or Switch(), listener)
        try:
            return uvloop.run(conductor.conduct())
        except Exception as error:
            conductor.refuse_secrets(error)
            raise


class Conductor:
    """Conducts one epoch of an opened run."""

    def __init__(
        self,
        opened: OpenRun,
        progress: Progress,
        command: str,
        switch: Switch,
        listener: socket.socket | None,
    ) -> None:
        self._opened = opened
        self._plan = opened.plan
        self._job = opened.plan.job
        self._progress = progress
        self._command = command
        self._listener = listener
        self._switch = switch
        self._started_at = datetime.now(UTC)
        self._observer = Observer(state_of(opened))
        self._supervisor: Supervisor | None = None  # while it runs
        self._supervised = False  # whether the supervisor has ended
        self._signalled: signal.Signals | None = None
        self._redactor = Redactor(
            secret
            for one in self._plan.endpoints
            for secret in secrets_of(one.key, one.job, one.headers)
        )

    async def conduct(self) -> Report:
        """Supervise what is left, export what is complete, and report."""
        disk = self._opened.disk
        with closing_log(disk, self._opened.run_directory.log_path) as descriptor:
            self._log = Log(
                partial(write_if_possible, disk, descriptor),
                self._redactor,
                tell=self._progress.note,
                tell_format=self._job.log_format,
            )
            self._announce()
            with heard(self._interrupt), self._switch.wired(self._interrupt):
                report = await self._run()
            self._log.emit(
                events.Stopped(
                    exit_code=report.exit_code,
                    message=report.message,
                    succeeded=report.succeeded,
                    failed=report.failed,
                    pending=report.pending,
                )
            )
        return report

    def refuse_secrets(self, error: Exception) -> None:
        """Raises EngineError in place of an error whose words, or whose causes', hold a secret."""
        told = "".join(traceback.format_exception(error))
        if (without := self._redactor.text(told)) != told:
            raise EngineError(
                f"a fault in Penstock:\n{without}", "Please report what is above."
            ) from None

    async def _run(self) -> Report:
        stop_counting = threading.Event()
        try:
            async with watched(
                self._job,
                self._observer,
                self._progress,
                self._listener,
                lambda: self._signalled is not None,
            ):
                catching_up = asyncio.create_task(self._catch_up(stop_counting))
                stopped = await self._supervise()
                self._supervised = True
                patience = 0.0 if stopped.complete else COUNT_SECONDS
                asyncio.get_running_loop().call_later(patience, stop_counting.set)
                await catching_up
                return await self._finish(stopped)
        finally:
            stop_counting.set()

    def _tell(self, event: events.Event) -> None:
        """Log an event; what things cost is shown too, as all sums are by it."""
        self._log.emit(event)
        if isinstance(event, events.Priced):
            self._progress.note(event.text)

    def _interrupt(self, number: signal.Signals) -> None:
        """A signal came: the supervisor drains; an export, or the wait for a scrape, ends."""
        self._signalled = number
        if self._supervisor is not None:
            self._supervisor.interrupt(number)

    def _announce(self) -> None:
        state = self._observer.state
        self._log.emit(
            events.RunStarted(
                run_id=self._plan.run_id,
                run_dir=self._plan.run_directory,
                epoch=self._plan.epoch,
                resumed=state.resumed_succeeded + state.resumed_failed,
                total=state.total,
            )
        )
        for note in self._opened.notes:
            self._progress.note(note)
        recovered = self._opened.recovered
        if recovered.voided:
            self._log.emit(
                events.Warned(message=f"the checkpoint was not used: {recovered.voided}")
            )
        state.warnings = list(self._opened.warnings)
        for warning in state.warnings:
            self._log.emit(events.Warned(message=warning))
        if redo := self._opened.redo:
            self._progress.note(
                f"this resumes redo {redo.number} of {len(redo.rows)} rows, begun {redo.created_at}"
            )

    async def _catch_up(self, stop: threading.Event) -> None:
        """Do what would have held up the first requests.

        That is to look up what the model costs, which the first answers wait for; to import what
        later steps need, soon, for a run may take days, in which the program is installed anew, and
        its end must not be another version's; and to count the rows.
        """
        while self._observer.state.running_since_ns is None and not self._supervised:
            if stop.is_set():
                return
            await asyncio.sleep(LOOK_SECONDS)
        await self._look_up_price()
        for name in LATE:
            if not self._supervised:
                await asyncio.to_thread(import_module, name)
        await self._count_rows(stop)

    async def _look_up_price(self) -> None:
        treasury = self._plan.treasury
        if treasury.prices is not None and self._supervisor is not None:
            for model in asked_models(self._job):
                await treasury.rates(model)

    async def _count_rows(self, stop: threading.Event) -> None:
        """Learn the total while the run goes on, where the input does not say it."""
        state = self._observer.state
        if state.total is not None:
            return
        with suppress(InputError):  # reading on will meet it, and say so
            counted = await asyncio.to_thread(self._opened.inputs.count_rows, stop)
            if counted is not None and state.total is None:
                state.total = counted if self._job.limit is None else min(counted, self._job.limit)

    async def _supervise(self) -> Stopped:
        """Ask for what is not done yet; nothing is started where all is."""
        total, state = self._observer.state.total, self._observer.state
        if (
            total is not None
            and not self._plan.books.missing([(0, total)])
            and not self._plan.target
        ):
            state.running_since_ns = state.running_until_ns = monotonic_ns()
            return complete()
        self._supervisor = Supervisor(
            self._plan, self._observer, self._tell, lambda key: self._redactor.hide([key])
        )
        if self._signalled is not None:
            self._supervisor.interrupt(self._signalled)
        try:
            return await self._supervisor.run()
        finally:
            self._supervisor = None

    async def _finish(self, stopped: Stopped) -> Report:
        """Export a complete run; in any case report."""
        state = self._observer.state
        state.running_until_ns = state.running_until_ns or monotonic_ns()
        exported: ExportReport | None = None
        if stopped.complete:
            state.phase = "exporting"
            try:
                exported = await asyncio.to_thread(self._export)
            except RowMissing as error:
                # The checkpoint said that all rows are there: the next recovery reads all segments.
                void_checkpoint(self._opened.disk, self._opened.run_directory)
                stopped = Stopped(error.exit_code, error.what, error.next_step)
            except PenstockError as error:
                stopped = Stopped(error.exit_code, error.what, error.next_step)
        state.phase = "done"
        report = report_of(
            self._opened, self._observer, self._started_at, stopped, exported, self._command
        )
        report.message = self._redactor.text(report.message)
        report.next_step = self._redactor.text(report.next_step)
        try:
            write_summary(self._opened.disk, self._opened.run_directory.path, report)
        except LedgerError as error:
            report.warnings.append(error.what)
            if stopped.complete:
                report.exit_code, report.message = error.exit_code, error.what
                report.next_step = error.next_step
        return report

    def _export(self) -> ExportReport:
        # Imported late: see _catch_up.
        from penstock.ledger.export import export

        return export(
            self._opened.run_directory.path,
            Path(self._job.output),
            inputs=self._opened.inputs,
            limit=self._job.limit,
            overwrite=self._job.overwrite,
            disk=self._opened.disk,
            progress=self._go_on_exporting,
        )

    def _go_on_exporting(self, rows: int) -> None:
        """Raises Interrupted where a signal came while `rows` rows were written."""
        if self._signalled is not None:
            raise Interrupted(
                f"interrupted by {self._signalled.name} while the output was written",
                "Every row is answered; the same command writes the output anew",
                exit_code=128 + self._signalled,
            )


@contextmanager
def closing_log(disk: Disk, path: Path) -> Iterator[int]:
    """The log's descriptor."""
    descriptor = disk.open_log(path)
    try:
        yield descriptor
    finally:
        with suppress(LedgerError):
            disk.close(descriptor)


def write_if_possible(disk: Disk, descriptor: int, line: bytes) -> None:
    """Append to the log; a disk that is full must not end a run by its log."""
    with suppress(LedgerError):
        disk.write(descriptor, line)


def state_of(opened: OpenRun) -> RunState:
    """What is known of a run before its workers start."""
    plan, books = opened.plan, opened.plan.books
    failures = books.failures
    return RunState(
        run_id=plan.run_id,
        started_ns=monotonic_ns(),
        started_at=wall_us() / 1e6,
        total=plan.total,
        succeeded=books.succeeded,
        failed_by_class=failures,
        resumed_succeeded=books.succeeded,
        resumed_failed=sum(failures.values()),
        priced=plan.treasury.is_priced,
        spent_before_pusd=plan.treasury.spent_before,
        budget_usd=plan.job.budget_usd,
        endpoints={one.name: Endpoint() for one in plan.endpoints},
    )
