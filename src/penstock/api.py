"""Running a job from Python: from a script, inside a running event loop, or from any thread."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow

from penstock.endpoints import at_one_place
from penstock.engine.opening import OBJECTS
from penstock.engine.run import run as run_job
from penstock.engine.signals import Switch
from penstock.errors import EXIT_COMPLETE, EXIT_DEAD_LETTERS, PenstockError, error_for
from penstock.job import Job
from penstock.observe.progress import Progress, progress_for
from penstock.observe.report import Report
from penstock.origins import explicit as explicit_options
from penstock.origins import load_job

FINISHED = (EXIT_COMPLETE, EXIT_DEAD_LETTERS)


def run(
    inputs: Any,
    output: str | os.PathLike[str],
    *,
    job_file: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Report:
    """Take records through an LLM API into `output`; call it again with the same arguments to
    resume.

    `inputs` is a path, a list of paths, anything with `__arrow_c_stream__` (a table or a data
    frame), or an iterable of dicts; `options` are named as the flags (`rpm=600`, `prompt="..."`).
    Returns a Report once every row ended (exit codes 0 and 3). Raises a PenstockError otherwise,
    whose `report` tells how far it came.
    """
    return run_until(Switch(), inputs, output, job_file, options)


def run_until(
    switch: Switch,
    inputs: Any,
    output: str | os.PathLike[str],
    job_file: str | os.PathLike[str] | None,
    options: Mapping[str, Any],
) -> Report:
    """`run`, until it ends or `switch` is pressed."""
    job, objects = job_for(inputs, output, job_file, options)
    with shown(job) as progress:
        report = in_own_loop(
            lambda: conduct(
                job,
                progress,
                objects=objects,
                command="penstock.run(...)",
                switch=switch,
                explicit=explicit_options(options),
            ),
            switch,
        )
        progress.close(report)
    if report.exit_code not in FINISHED:
        raise error_for(report)
    return report


def show_run(job: Job, command: str, explicit: Collection[str] = ()) -> int:
    """Run or resume a job for the command line; returns the exit code."""
    with shown(job) as progress:
        report = conduct(job, progress, stdin=sys.stdin.buffer, command=command, explicit=explicit)
        progress.close(report)
    if job.progress == "off" and report.exit_code not in FINISHED:
        sys.stderr.write(f"error: {error_for(report)}\n")
    if job.json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    return report.exit_code


@contextmanager
def shown(job: Job) -> Iterator[Progress]:
    """The job's progress display, which leaves the terminal in order whatever happens."""
    progress = progress_for(job.progress, sys.stderr)
    try:
        yield progress
    except BaseException:
        progress.close(None)
        raise


async def arun(
    inputs: Any,
    output: str | os.PathLike[str],
    *,
    job_file: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Report:
    """`run` for a running event loop, which goes on meanwhile.

    Cancelled, it stops as after Ctrl+C: what is in flight is finished and kept, and the same call
    resumes.
    """
    switch = Switch()
    work = asyncio.to_thread(run_until, switch, inputs, output, job_file, options)
    running = asyncio.create_task(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        switch.press()
        try:
            with suppress(PenstockError):
                await asyncio.shield(running)
        except asyncio.CancelledError:
            switch.press()
        raise


def in_own_loop(work: Callable[[], Report], switch: Switch) -> Report:
    """Call `work`, which runs an event loop; in a thread, where this one has a loop running."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1, "penstock") as thread, switch.pressed_by_signals():
        return thread.submit(work).result()


def conduct(
    job: Job,
    progress: Progress,
    *,
    objects: Any = None,
    stdin: BinaryIO | None = None,
    command: str = "",
    switch: Switch | None = None,
    explicit: Collection[str] = (),
) -> Report:
    """Run or resume a job in an event loop of its own; with `--simulate`, beside a simulator."""
    with ExitStack() as stack:
        if job.simulate:
            job = stack.enter_context(simulated(job))
        return run_job(
            job,
            os.environ,
            progress,
            objects=objects,
            stdin=stdin,
            command=command,
            switch=switch,
            explicit=explicit,
        )


@contextmanager
def simulated(job: Job) -> Iterator[Job]:
    """The job, asking a simulator that serves as long as the context lasts."""
    from penstock.simulator import TYPICAL, spawn  # late: few runs have use for it

    with spawn(TYPICAL) as simulator:
        yield at_one_place(job, simulator.origin)


def job_for(
    inputs: Any,
    output: str | os.PathLike[str],
    job_file: str | os.PathLike[str] | None,
    options: Mapping[str, Any],
) -> tuple[Job, Any]:
    """The job of a call, and its input where that is no path."""
    given = {"progress": "auto", **options, "output": os.fspath(output)}
    objects = None
    if isinstance(inputs, str | os.PathLike):
        given["inputs"] = (os.fspath(inputs),)
    elif isinstance(inputs, list | tuple) and all(isinstance(i, str | os.PathLike) for i in inputs):
        given["inputs"] = tuple(os.fspath(path) for path in inputs)
    else:
        given["inputs"], objects = (OBJECTS,), inputs
    return load_job(given, file=Path(job_file) if job_file else None), objects


def results(
    run_dir: str | os.PathLike[str], *, partial: bool = False
) -> Iterator[pyarrow.RecordBatch]:
    """The results of a run in input order, as Arrow batches: `row`, `id`, `outcome`, `output`, ...

    The input's columns are in the output, not here. `partial` takes the rows that are done, also
    while the run goes on; without it a row that is missing raises LedgerError.
    """
    from penstock.ledger.results import results as read_results  # late: no run needs it

    yield from read_results(Path(run_dir), partial=partial)
