"""Opening a run: from a job to a locked run directory and a plan, or to a clear refusal.

All that can be wrong with a job is found here, before the first request; what can be checked
without the run directory is checked before that is made, so that a refused job leaves nothing
behind.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from penstock._core import FIRST_OUTPUT_TOKENS, REQUESTS, monotonic_ns
from penstock.addresses import told
from penstock.disk import Disk
from penstock.endpoints import Endpoint as JobEndpoint
from penstock.endpoints import dialect_of, endpoints_of, first_of
from penstock.engine import capacity, descriptors, limits
from penstock.engine.books import Books
from penstock.engine.credentials import Access, access_to
from penstock.engine.forecast import Measured, exactly, mean, sample_requests
from penstock.engine.grouping import Most, largest_request, most_of
from penstock.engine.limiter_file import LimiterFile, open_limiter, path_of
from penstock.engine.messages import Prices
from penstock.engine.plan import EndpointPlan, Plan, Turns
from penstock.engine.pricing import notes_of, prices_of
from penstock.engine.rates import pusd
from penstock.engine.treasury import Treasury
from penstock.engine.tuning import with_tuned
from penstock.errors import (
    InputError,
    JobError,
    LedgerError,
    PenstockError,
    RunDirectoryError,
    TemplateError,
)
from penstock.job import Job, identity
from penstock.ledger.account import Account
from penstock.ledger.embedding import Embedding
from penstock.ledger.epoch import begin_epoch
from penstock.ledger.formats import check_types
from penstock.ledger.generation import Generation, unfinished
from penstock.ledger.known import Shelf
from penstock.ledger.lock import RunLock
from penstock.ledger.manifest import (
    Manifest,
    check_identity,
    compare,
    is_rehearsal,
    makes_way,
    public_job,
)
from penstock.ledger.mounts import check_mount
from penstock.ledger.output_check import check_output
from penstock.ledger.output_columns import OutputColumns, output_columns
from penstock.ledger.parsed import parsed_for
from penstock.ledger.published import inherit
from penstock.ledger.recovery import Recovered, recover
from penstock.ledger.run_directory import RunDirectory, move_aside
from penstock.ledger.spending import read_spending
from penstock.ledger.summary import read_summary, refused_at_once
from penstock.ledger.tuned import read_tuned
from penstock.origins import convert
from penstock.providers.batch import check_batch
from penstock.providers.provider import Provider, UnrenderableRecord, provider_for
from penstock.providers.structured import STRICT_DIALECTS, why_not_strict
from penstock.record import REUSED, Record
from penstock.sources.attachments import attacher
from penstock.sources.inputs import Inputs
from penstock.sources.objects import spooled
from penstock.version import VERSION

SAMPLE_RECORDS = 50
SAMPLE_ATTACHED = 5
STDIN = "-"
ELSEWHERE = "Mend that, or name another place by --run-dir."
# Why there can be no directory at a path, whatever the state of the disk.
NO_PLACE: Final = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
)
OBJECTS = "<python>"  # the input of a job whose records come from the caller's own objects


class OpenRun(msgspec.Struct, kw_only=True):
    """A run whose lock is held, and what recovery found of it."""

    job: Job
    run_directory: RunDirectory
    manifest: Manifest
    disk: Disk
    plan: Plan
    inputs: Inputs
    recovered: Recovered
    columns: OutputColumns
    provider: Provider
    sample: list[Record]
    before: Measured | None  # what the rows that earlier epochs ended tell of the others
    redo: Generation | None
    notes: list[str]  # to be said before the first request
    warnings: list[str]


class Checked(msgspec.Struct):
    """A job whose inputs, templates and output were found to fit together."""

    inputs: Inputs
    provider: Provider
    columns: OutputColumns
    id_column: str | None
    sample: list[Record]
    prices: Prices | None = None


def run_directory_of(job: Job) -> Path:
    """Where a job's run lives: as told, else beside the output."""
    if job.run_dir:
        return Path(job.run_dir)
    if not job.output:
        raise JobError("there is no output", "Name one: --output answers.parquet")
    return run_directory_beside(Path(job.output))


def run_directory_beside(output: Path) -> Path:
    """Where the run of an output is, unless another place was given."""
    return output.with_name(output.name + ".run")


@contextmanager
def open_run(
    job: Job,
    environment: Mapping[str, str],
    *,
    objects: Any = None,
    stdin: BinaryIO | None = None,
    explicit: Collection[str] = (),
) -> Iterator[OpenRun]:
    """Open a job's run, new or to be resumed, and hold its lock. Raises PenstockError.

    `objects` are the records of a caller in Python, for a job whose input is OBJECTS.
    """
    path = run_directory_of(job)
    descriptors.check()
    check_path(path)
    warning = check_mount(path)
    access = [access_of(one, job, environment) for one in endpoints_of(job)]
    refuse_rehearsals(() if job.simulate else job.reuse)
    disk, directory = Disk(), RunDirectory(path)
    was_there = path.exists()
    streamed = objects is not None or STDIN in job.inputs
    checked = None if streamed else check(job, path, None)
    locked = False
    try:
        make_ready(directory, disk)
        with held(disk, directory, job) as (lock, aside):
            locked = True
            if objects is not None:
                paths, stdin = spooled(objects, directory.spool)
                job = msgspec.structs.replace(job, inputs=tuple(paths))
            checked = checked or check(job, path, stdin)
            job, tuned_notes = with_tuned(job, read_tuned(directory), explicit)
            manifest = adopt(job, disk, directory, checked)
            opened = begin(job, disk, directory, lock, manifest, checked, access, environment)
            opened.warnings.extend([warning] if warning else [])
            opened.notes.extend([f"the run that was here before is {aside} now"] if aside else [])
            opened.notes.extend(tuned_notes)
            try:
                yield opened
            finally:
                for file in files_of(opened.plan.endpoints):
                    file.close()
                checked.inputs.close()  # a thread may still wait for standard input
    except BaseException:
        if locked and not was_there and not directory.exists():
            with suppress(LedgerError):
                disk.remove_tree(path)
        raise


def check_path(path: Path) -> None:
    """Raises RunDirectoryError for a path at which there can be no directory."""
    try:
        nearest = next(one for one in (path, *path.parents, Path("/")) if one.exists())
    except OSError as error:
        raise RunDirectoryError(
            f"{path} can't be a run directory: {error.strerror}", ELSEWHERE
        ) from None
    if not nearest.is_dir():
        raise RunDirectoryError(f"{path} can't be a run directory: {nearest} is a file", ELSEWHERE)


def make_ready(directory: RunDirectory, disk: Disk) -> None:
    """Make a run's directories. Raises RunDirectoryError where there can be none."""
    try:
        directory.prepare(disk)
    except LedgerError as error:
        reason = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
        if directory.exists() or reason not in NO_PLACE:
            raise
        raise RunDirectoryError(error.what, ELSEWHERE) from error


@contextmanager
def held(disk: Disk, directory: RunDirectory, job: Job) -> Iterator[tuple[RunLock, Path | None]]:
    """The run's lock; for a job that begins anew, that of a new directory, and where the old is."""
    lock, aside = RunLock.acquire(disk, directory), None
    try:
        if directory.exists() and begins_anew(job, directory):
            aside = move_aside(disk, directory.path)
            lock.release()
            directory.prepare(disk)
            lock = RunLock.acquire(disk, directory)
            inherit(disk, directory.path, aside)
        yield lock, aside
    finally:
        lock.release()


def begins_anew(job: Job, directory: RunDirectory) -> bool:
    """Whether the run that is there is not to be resumed: as told, or as it has nothing to keep.

    That is a rehearsal, and another job's that was refused at once: who was told to check --model
    or --base-url, and did, is not to be told that it is another run now.
    """
    if job.fresh:
        return True
    before, ours = directory.manifest(), identity(first_of(job))
    if makes_way(before, ours):
        return True
    return bool(compare(before.identity, ours)) and refused_at_once(directory)


def check(job: Job, run_directory: Path, stdin: BinaryIO | None) -> Checked:
    """Whether input, prompt and output of a job fit together; raises what says why not."""
    if not job.inputs:
        raise JobError("there is no input", "Name files, globs or directories, or - for stdin.")
    provider = provider_for(job)
    check_output(Path(job.output), run_directory, job.inputs, overwrite=job.overwrite)
    inputs = Inputs.open(job.inputs, spool=run_directory / "spool", stdin=stdin)
    if inputs.batch_lines:
        check_batch(job)
    schema = inputs.schema()
    if schema.names and not inputs.batch_lines:  # without any, what is wrong is the rows themselves
        provider.check_columns(schema.names)
    columns = output_columns(
        schema,
        keep=job.keep,
        prefix=job.prefix,
        id_column=job.id,
        parsed=parsed_for(job.schema, job.flatten, Path(job.output)),
        embedding=Embedding(job.dimensions) if job.embeds else None,
    )
    check_types(Path(job.output), columns)
    id_column = schema.id_column(job.id)
    sample = sample_of(job, inputs)
    refuse_unrenderable(provider, sample)
    refuse_other_dialects(job, inputs.batch_lines, sample)
    prices = prices_of(job, provider, sample)
    return Checked(inputs, provider, columns, id_column, sample, prices)


def sample_of(job: Job, inputs: Inputs) -> list[Record]:
    """Some records to try the job on, with their images and files: fewer where they have some."""
    attach = attacher(job)
    if attach is None:
        return list(inputs.sample(SAMPLE_RECORDS))
    return [attach(record) for record in islice(inputs.sample(SAMPLE_ATTACHED), SAMPLE_ATTACHED)]


def access_of(endpoint: JobEndpoint, job: Job, environment: Mapping[str, str]) -> Access:
    """By what an endpoint of a job is asked. Raises JobError, which names it among several."""
    try:
        access = access_to(endpoint.job, environment)
        refuse_unsendable(endpoint.job, access.headers)
    except JobError as error:
        if not job.endpoints:
            raise
        raise JobError(f"endpoint {endpoint.name}: {error.what}", error.next_step) from None
    return access


def refuse_unsendable(job: Job, headers: Mapping[str, str]) -> None:
    """Raises JobError for what the transport would refuse at the first request."""
    if not (headers or job.ca_file or job.proxy):
        return
    from penstock.transport.endpoint import Endpoint, parse_proxy
    from penstock.transport.tls import tls_context

    Endpoint(job.base_url, headers)
    if job.ca_file is not None:
        tls_context(job.ca_file)
    if job.proxy is not None:
        parse_proxy(job.proxy)


def refuse_other_dialects(job: Job, batch_lines: bool, sample: Sequence[Record]) -> None:
    """Raises JobError, TemplateError where an endpoint other than the first can't be asked."""
    for endpoint in endpoints_of(job)[1:]:
        if dialect_of(endpoint.job) == dialect_of(first_of(job)):
            continue
        if batch_lines:
            raise JobError(
                f"endpoint {endpoint.name}: it would be asked otherwise than the first one, and "
                "batch lines are sent as they are",
                "Give all endpoints the same provider, model and path.",
            )
        refuse_unrenderable(provider_for(endpoint.job), sample)


def refuse_unrenderable(provider: Provider, sample: Iterable[Record]) -> None:
    """Raises TemplateError where no sampled record makes a request: the job can't work."""
    problems = []
    for record in sample:
        if record.problem is not None:
            problems.append(f"{record.where}: {record.problem}")
            continue
        try:
            provider.request(record)
        except UnrenderableRecord as error:
            problems.append(f"{record.where}: {error}")
        else:
            return
    if problems:
        raise TemplateError(
            f"no request can be made of any of the first {len(problems)} records; "
            f"the first problem: {problems[0]}",
            "Look at one with `penstock render INPUT --row 0`, and mend the prompt or the input.",
        )


def adopt(job: Job, disk: Disk, directory: RunDirectory, checked: Checked) -> Manifest:
    """The run's manifest: of the run that is there, if it is this job's, else a new one."""
    ours = identity(first_of(job))
    if not directory.exists():
        manifest = Manifest(
            run_id=secrets.token_hex(8),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            penstock_version=VERSION,
            identity=ours,
            job=public_job(job),
            inputs=list(checked.inputs.frozen),
            input_schema=checked.columns.inputs,
            output_schema=checked.columns.types,
            shard_rows=shard_rows(job),
            batch_lines=checked.inputs.batch_lines,
        )
        directory.create(disk, manifest)
        return manifest
    manifest = directory.manifest()
    check_identity(manifest, ours, directory.path)
    checked.inputs.check(manifest.inputs)
    now = msgspec.structs.replace(manifest, inputs=list(checked.inputs.frozen), job=public_job(job))
    if now != manifest:
        directory.update(disk, now)
    return now


def begin(
    job: Job,
    disk: Disk,
    directory: RunDirectory,
    lock: RunLock,
    manifest: Manifest,
    checked: Checked,
    access: Sequence[Access],
    environment: Mapping[str, str],
) -> OpenRun:
    """A new epoch of the run: what it has, and the plan for what is left."""
    epoch = begin_epoch(disk, directory)
    recovered = recover(disk, directory, manifest.run_id)
    redo = unfinished(recovered.generations, recovered.account.done)
    generation, target = (redo.number, redo.rows) if redo else (0, None)
    if redo is not None:
        job = job_of_redo(job, redo)
    cursor = None if redo else recovered.cursor
    at_once = most_of(job)
    largest = largest_cost(checked.provider, checked.sample, at_once)
    endpoints = endpoints_of(job)
    wanted, most = capacity.slots_of(endpoints), descriptors.allowed()
    usual = capacity.usual_slots(endpoints)
    workers = capacity.workers_of(endpoints, limits.cores_here())
    workers = descriptors.workers_that_fit(workers, most)
    slots = descriptors.slots_that_fit(wanted, workers, most)
    descriptors.allow(descriptors.needed_by_supervisor(workers))
    books = Books(
        disk, directory, manifest.run_id, epoch, recovered.account, cursor, generation, target
    )
    places = capacity.places_of(endpoints)
    files = [limiter_file_of(one.job, largest, environment) for one in endpoints]
    planned = tuple(
        EndpointPlan(
            name=one.name,
            job=one.job,
            key=by.key,
            headers=by.headers,
            buckets=file.buckets(largest) if file else limits.buckets_of(one.job, largest),
            largest_tokens=largest,
            room=room,
            places=count,
            first_places=capacity.first_places(one, count),
            weight=one.weight,
            limiter_file=file,
            renew=by.renew,
        )
        for one, by, count, room, file in zip(
            endpoints, access, places, capacity.rooms_of(places), files, strict=True
        )
    )
    shelves = shelves_of(job, disk, directory, manifest, recovered, generation)
    plan = Plan(
        job=job,
        endpoints=planned,
        run_id=manifest.run_id,
        run_directory=str(directory.path),
        epoch=epoch,
        generation=generation,
        target=target,
        books=books,
        treasury=treasury_of(job, disk, directory, manifest, recovered, checked.prices),
        shards=checked.inputs.shards(cursor, rows=manifest.shard_rows),
        known_shards=dict(recovered.account.shards),
        id_column=checked.id_column,
        keep_response="always" if manifest.batch_lines else job.response,
        workers=workers,
        slots=slots,
        inherited=(lock.fileno(), *(file.descriptor for file in files_of(planned))),
        record_workers=lock.record_workers,
        total=len(target) if target is not None else total_rows(checked.inputs, job.limit),
        shelves=shelves,
        rows_at_once=at_once.rows,
        turns=Turns(
            partial(checked.inputs.shards, rows=manifest.shard_rows),
            partial(own_shelf, disk, directory, manifest.run_id, generation),
        )
        if job.dedupe
        else None,
    )
    return OpenRun(
        job=job,
        run_directory=directory,
        manifest=manifest,
        disk=disk,
        plan=plan,
        inputs=checked.inputs,
        recovered=recovered,
        columns=checked.columns,
        provider=checked.provider,
        sample=checked.sample,
        before=measured_before(directory, recovered.account, checked),
        redo=redo,
        notes=[
            *dict.fromkeys(
                about for one in endpoints_of(job) if (about := told(one.job)) is not None
            ),
            *checked.provider.notes,
            checked.columns.announcement(),
            *schema_notes(job),
            *map(shelf_words, shelves),
            *notes_of(checked.prices),
        ],
        warnings=[
            *(words for one in planned for words in tight_limits(one.buckets, largest)),
            *([descriptors.words(usual, slots, most)] if slots < min(sum(places), usual) else []),
        ],
    )


def shelves_of(
    job: Job,
    disk: Disk,
    directory: RunDirectory,
    manifest: Manifest,
    recovered: Recovered,
    generation: int,
) -> tuple[Shelf, ...]:
    """The results that are known before the first request. Raises InputError, LedgerError.

    This generation's own come first. A redo asks again what was answered, so it reuses nothing.
    """
    if not job.dedupe and not job.reuse:
        return ()
    from penstock.ledger import shelving  # late: few jobs have use for it

    shelves = []
    if job.dedupe and len(recovered.account.done_in(generation)):
        shelves.append(shelving.own_shelf(disk, directory, manifest.run_id, generation))
    if job.reuse and not generation:
        shelves.append(
            shelving.reuse_shelf(disk, directory, job.reuse, with_response=manifest.batch_lines)
        )
    return tuple(shelves)


def refuse_rehearsals(sources: Sequence[str]) -> None:
    """Raises InputError for what was simulated, as far as run directories are there to tell."""
    for source in sources:
        path = Path(source)
        directory = path if path.is_dir() else run_directory_beside(path)
        try:
            manifest = RunDirectory(directory).manifest()
        except PenstockError:
            continue
        if is_rehearsal(manifest):
            raise InputError(
                f"--reuse {source}: its answers were simulated",
                "Name a run that asked a provider; with --simulate this one can be reused.",
            )


def own_shelf(disk: Disk, directory: RunDirectory, run_id: str, generation: int) -> Shelf:
    """What this generation has asked so far. Raises LedgerError."""
    from penstock.ledger import shelving

    return shelving.own_shelf(disk, directory, run_id, generation)


def shelf_words(shelf: Shelf) -> str:
    """What is known, in words."""
    whose = "earlier runs" if shelf.source == REUSED else "this run"
    return f"{shelf.entries:,} answers of {whose} are known, and need not be bought"


def measured_before(directory: RunDirectory, account: Account, checked: Checked) -> Measured | None:
    """What a run's account says of an average row; None where none was answered yet."""
    answered, spent = account.succeeded, account.spent
    if not answered:
        return None
    sampled, _ = sample_requests(checked.provider, checked.sample)
    predicted = mean(sampled.input_tokens).expected * answered
    latency = None
    with suppress(LedgerError):
        summary = read_summary(directory.path)
        latency = summary.p50_seconds if summary else None
    return Measured(
        records=answered,
        input_ratio=exactly(spent.input_tokens / predicted if predicted else 1.0),
        output_tokens=exactly(spent.output_tokens / answered),
        latency_seconds=exactly(latency) if latency else None,
        attempts=spent.attempts / account.ended,
        cost_usd=exactly(spent.cost_usd / answered) if spent.cost_usd else None,
    )


def schema_notes(job: Job) -> Iterator[str]:
    """What is to be said of how a provider takes the job's schema."""
    why = why_not_strict(job.schema) if isinstance(job.schema, dict) else ""
    if why and job.provider in STRICT_DIALECTS:
        yield f"schema: asked for without `strict`, as {why}; every answer is checked here"


def treasury_of(
    job: Job,
    disk: Disk,
    directory: RunDirectory,
    manifest: Manifest,
    recovered: Recovered,
    prices: Prices | None,
) -> Treasury:
    """The run's money, with what earlier epochs have spent. Raises LedgerError."""
    account = recovered.account
    spent = read_spending(directory, manifest.run_id).total(pusd(account.paid_usd))
    return Treasury(disk, directory, manifest.run_id, account, job, prices, spent)


def job_of_redo(job: Job, redo: Generation) -> Job:
    """The job that a redo asks under: the changed one, with what is free to change as it is now."""
    kept = [name for name in identity(job) if name in redo.job]
    asked = convert({name: redo.job[name] for name in kept if redo.job[name] is not None})
    return msgspec.structs.replace(job, **{name: getattr(asked, name) for name in kept})


def limiter_file_of(job: Job, largest: int, environment: Mapping[str, str]) -> LimiterFile | None:
    """The named limiter of an endpoint, if it has one. Raises JobError."""
    if job.limiter is None:
        return None
    path = path_of(job.limiter, environment)
    return open_limiter(path, limits.buckets_of(job, largest), monotonic_ns())


def files_of(endpoints: Iterable[EndpointPlan]) -> Iterator[LimiterFile]:
    """The files that hold buckets of these endpoints."""
    return (one.limiter_file for one in endpoints if one.limiter_file is not None)


def tight_limits(buckets: Sequence[limits.Bucket], largest: int) -> Iterator[str]:
    """Words about each limit that is smaller than one record's predicted tokens."""
    for bucket in buckets:
        if bucket.limit is not None and bucket.resource != REQUESTS and bucket.limit < largest:
            flag = bucket.name.replace("_", "-")
            yield (
                f"--{flag} {bucket.limit:,} is less than the {largest:,} tokens that one record is "
                "predicted to take: each waits for several whole windows"
            )


def shard_rows(job: Job) -> int:
    """Rows of a shard: as many as a request is for at least, or requests would be for fewer."""
    usual = limits.shard_rows(capacity.usual_slots(endpoints_of(job)))
    return max(usual, most_of(job).rows)


def largest_cost(provider: Provider, sample: Iterable[Record], most: Most) -> int:
    """The largest number of tokens that a request for sampled records is predicted to take."""
    if most.tokens:
        sampled, _ = sample_requests(provider, sample)
        return largest_request(most, sampled.input_tokens)
    largest = 1
    for record in sample:
        with suppress(UnrenderableRecord):
            if record.problem is None:
                request = provider.request(record)
                output = min(request.output_tokens or FIRST_OUTPUT_TOKENS, FIRST_OUTPUT_TOKENS)
                largest = max(largest, request.input_tokens + output)
    return largest


def total_rows(inputs: Inputs, limit: int | None) -> int | None:
    """The rows of a run, where that is known without reading its input."""
    if inputs.total_rows is None:
        return None
    return inputs.total_rows if limit is None else min(inputs.total_rows, limit)
