"""All that is known of one row: its input, its request, and every verified copy of its result."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow.compute as pc

from penstock.cli.request import Shown, shown
from penstock.engine.opening import job_of_redo
from penstock.engine.redo import job_of
from penstock.errors import InputError, PenstockError
from penstock.job import EMBED, Job
from penstock.ledger.choice import Copy, choose
from penstock.ledger.copies import Copies
from penstock.ledger.export import open_inputs
from penstock.ledger.generation import read_generations
from penstock.ledger.manifest import Manifest
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.segment_reader import VerifiedBatch
from penstock.providers.provider import UnrenderableRecord, provider_for
from penstock.record import SUCCEEDED, Record
from penstock.sources.attachments import attacher
from penstock.vector import numbers_of

NOT_THERE: Final = "Look at `penstock status` for how many rows there are; the first is row 0."


class Found(msgspec.Struct, frozen=True):
    """One copy of a row's result."""

    result: dict[str, Any]  # by the names of the output's columns
    counts: bool  # whether this copy is the one in the output


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a row."""

    number: int
    record: Record | None  # None: the input can't be read any more, which `problem` says
    request: Shown | None  # as it would be made now; None: none can be made
    problem: str
    copies: list[Found]  # in the order in which they were bought

    @property
    def outcome(self) -> str:
        """How it ended: `succeeded`, `failed` or `pending`."""
        return next((str(one.result["outcome"]) for one in self.copies if one.counts), "pending")


def read_row(path: Path, number: int) -> Row:
    """What is known of row `number` of the run in `path`, from one pass over its segments.

    Raises RunDirectoryError where there is no run, InputError where there is no such row,
    LedgerError where the disk can't be read.
    """
    directory = RunDirectory(path)
    manifest = directory.manifest()
    copies = copies_of(directory, manifest.run_id, number, manifest.job.get("task") == EMBED)
    record, request, problem = None, None, ""
    try:
        record = open_inputs(directory, manifest).record(number, manifest.job["id"])
        request = request_of(record, job_for(directory, manifest, copies))
    except UnrenderableRecord as error:
        problem = str(error)
    except PenstockError as error:
        if not copies:
            raise InputError(f"{path}: {error.what}", NOT_THERE) from None
        problem = error.what
    return Row(number=number, record=record, request=request, problem=problem, copies=copies)


def copies_of(
    directory: RunDirectory, run_id: str, number: int, embeds: bool = False
) -> list[Found]:
    """Every verified copy of a row, and which of them counts; `embeds`: those are vectors."""
    found: dict[Copy, dict[str, Any]] = {}

    def seen(batch: VerifiedBatch) -> None:
        for position in pc.indices_nonzero(pc.equal(batch.batch["row"], number)).to_pylist():
            result = with_numbers(batch.batch.slice(position, 1).to_pylist()[0], embeds)
            mark = batch.mark
            succeeded = result["outcome"] == SUCCEEDED
            place = (mark.epoch, mark.worker, mark.segment, mark.batch, position)
            found[Copy(mark.generation, succeeded, *place)] = result

    Copies(directory, run_id, seen)
    counted = choose(found) if found else None
    return [Found(found[copy], copy == counted) for copy in sorted(found, key=lambda c: c.place)]


def with_numbers(result: dict[str, Any], embeds: bool) -> dict[str, Any]:
    """A result with its vector as the output has it."""
    if not embeds:
        return result
    vector = None if result["output"] is None else numbers_of(result["output"])
    return {**result, "output": None, "embedding": vector}


def job_for(directory: RunDirectory, manifest: Manifest, copies: list[Found]) -> Job:
    """The job under which the copy that counts was asked for: the run's, or a redo's."""
    job = job_of(manifest, {})
    number = next((one.result["generation"] for one in copies if one.counts), 0)
    for redo in read_generations(directory, manifest.run_id):
        if redo.number == number:
            return job_of_redo(job, redo)
    return job


def request_of(record: Record, job: Job) -> Shown | None:
    """The request that is made of a record. Raises UnrenderableRecord, JobError."""
    if record.problem is not None:
        raise UnrenderableRecord(record.problem)
    if job.limit is not None and record.row >= job.limit:
        raise UnrenderableRecord(f"the run takes the first {job.limit} rows only (--limit)")
    provider, attach = provider_for(job), attacher(job)
    record = attach(record) if attach is not None else record
    if record.problem is not None:
        raise UnrenderableRecord(record.problem)
    return shown(provider.request(record), provider, job)


def json_of(row: Row) -> dict[str, Any]:
    """A row for --json."""
    record, request = row.record, row.request
    return {
        "row": row.number,
        "outcome": row.outcome,
        "id": record.id if record else None,
        "where": record.where if record else None,
        "input": record.fields if record else None,
        "problem": row.problem or None,
        "request": request.as_json() if request else None,
        "curl": request.as_curl() if request else None,
        "copies": [{"counts": one.counts, **one.result} for one in row.copies],
    }
