"""What can be known of a job before it is run: its rows, its requests, and what it has done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from penstock.cli.reading import opened
from penstock.endpoints import endpoints_of, first_of
from penstock.engine import capacity, limits
from penstock.engine.forecast import Forecast, Measured, Sampled, forecast, sample_requests
from penstock.engine.opening import run_directory_of
from penstock.engine.pilot import Attach, first_results, measure
from penstock.engine.pricing import asked_models, rates, sampled_models
from penstock.engine.rates import Rates, dearest
from penstock.errors import PenstockError
from penstock.job import Job, identity
from penstock.ledger.manifest import compare, makes_way
from penstock.ledger.recovery import survey
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.summary import refused_at_once
from penstock.providers.provider import Provider, Request, provider_for
from penstock.record import Record
from penstock.sources.attachments import attacher
from penstock.sources.inputs import Inputs
from penstock.sources.spread import spread

SAMPLE_RECORDS: Final = 400
SAMPLE_ATTACHED: Final = 40  # with images or files, which are large
READ_SECONDS: Final = 30.0  # of the input; what it has beyond that is judged by its bytes


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """A job, looked at from before its start or in the middle of it."""

    job: Job
    rows: int
    rows_known: bool  # else judged by the bytes that were read
    done: int  # of them, by the run directory
    run_dir: str  # empty where there is none to look at
    problem: str  # why the run directory was not looked at
    sampled: Sampled
    requests: list[tuple[Record, Request]]  # those of the sample
    workers: int
    slots: int
    forecast: Forecast  # of the rows that are left

    def as_json(self, samples: int) -> dict[str, Any]:
        """For --json."""
        return {
            "rows": self.rows,
            "rows_known": self.rows_known,
            "done": self.done,
            "sampled": len(self.sampled.input_tokens),
            "unrenderable": self.sampled.unrenderable,
            "run_dir": self.run_dir or None,
            "run_dir_problem": self.problem or None,
            "workers": self.workers,
            "concurrency": self.slots,
            "forecast": msgspec.to_builtins(self.forecast),
            "samples": [
                {
                    "row": record.row,
                    "id": record.id,
                    "body": msgspec.Raw(request.body),
                    "input_tokens": request.input_tokens,
                }
                for record, request in self.requests[:samples]
            ],
        }


class Past(msgspec.Struct, frozen=True):
    """What a job's run directory tells."""

    run_dir: str = ""
    problem: str = ""
    done: int = 0
    measured: Measured | None = None


def look_ahead(job: Job, spool: Path) -> Outlook:
    """A job's outlook; standard input is kept in `spool`. Raises UsageError."""
    inputs = opened(job, spool)
    provider = provider_for(job)
    attach = attacher(job)
    sample = SAMPLE_RECORDS if attach is None else SAMPLE_ATTACHED
    until = time.monotonic() + READ_SECONDS
    found = spread(inputs, sample, limit=job.limit, enough=lambda: time.monotonic() > until)
    rows = found.rows_about if job.limit is None else min(found.rows_about, job.limit)
    records = found.records if attach is None else map(attach, found.records)
    sampled, requests = sample_requests(provider, records)
    past = past_of(job, inputs, provider, attach)
    workers = capacity.workers_of(endpoints_of(job), limits.cores_here())
    left = max(0, rows - past.done)
    return Outlook(
        job=job,
        rows=rows,
        rows_known=found.complete,
        done=min(past.done, rows),
        run_dir=past.run_dir,
        problem=past.problem,
        sampled=sampled,
        requests=evenly(requests),
        workers=workers,
        slots=capacity.usual_slots(endpoints_of(job)),
        forecast=forecast(
            job, left, sampled, past.measured, workers, price_of(job, provider, found.records)
        ),
    )


def price_of(job: Job, provider: Provider, records: Sequence[Record]) -> Rates | None:
    """What the job's model costs, of several the dearest; None where no price is known."""
    models = asked_models(job) or sampled_models(provider, records) or [""]
    known = [found for model in models if (found := rates(job, model)) is not None]
    return dearest(known) if known else None


def past_of(job: Job, inputs: Inputs, provider: Provider, attach: Attach | None) -> Past:
    """What the job's run directory tells, where there is one and it is of this job."""
    if not (job.output or job.run_dir):
        return Past()
    path = run_directory_of(job)
    directory = RunDirectory(path)
    if not directory.exists() or job.fresh:
        return Past()
    try:
        manifest, ours = directory.manifest(), identity(first_of(job))
        if makes_way(manifest, ours):
            return Past()
        if differences := compare(manifest.identity, ours):
            if refused_at_once(directory):
                return Past()
            return Past(str(path), f"it is of another job: {differences[0]}")
        inputs.check(manifest.inputs)
        done = survey(directory, manifest.run_id).account.ended
        results = first_results(directory, manifest.run_id)
    except PenstockError as error:
        return Past(str(path), error.what)
    return Past(str(path), "", done, measure(results, inputs, provider, attach))


def evenly(requests: Sequence[tuple[Record, Request]]) -> list[tuple[Record, Request]]:
    """Requests, so that the first few of them are from all over the sample."""
    step = max(1, len(requests) // 4)
    return [one for start in range(step) for one in requests[start::step]]
