"""A few records asked outside of any run: what comes back is looked at, and nothing is kept.

Each is asked once, under the job's limits, by the same asker that a worker has; nothing is asked
again, so that what the provider says is what is seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
import uvloop

from penstock._core import monotonic_ns
from penstock.endpoints import first_of
from penstock.engine import limits
from penstock.engine.asker import Asker
from penstock.engine.attempt import Attempt
from penstock.engine.credentials import extra_headers, find_key, secrets_of
from penstock.engine.grouping import most_of
from penstock.engine.judge import GOOD, Fate, judge_of
from penstock.engine.opening import largest_cost, refuse_unsendable
from penstock.engine.pacer import Pacer
from penstock.engine.region import Layout, Region, configure
from penstock.job import Job
from penstock.observe.redactor import Redactor
from penstock.providers.provider import Provider, Request, UnrenderableRecord, provider_for
from penstock.record import Record
from penstock.sources.attachments import attacher
from penstock.transport.choice import transport_for


class Tried(msgspec.Struct, frozen=True):
    """A record, its request, and what came back."""

    record: Record
    request: Request | None  # None: none can be made, which `problem` says
    attempt: Attempt | None
    problem: str = ""
    fate: Fate = GOOD  # of the answer, where the job asks something of its answers

    @property
    def answered(self) -> bool:
        """Whether there is an answer that counts."""
        is_there = self.attempt is not None and self.attempt.answer is not None
        return is_there and not self.fate.error_class


def try_records(job: Job, environment: Mapping[str, str], records: Sequence[Record]) -> list[Tried]:
    """Ask for each record once, as many at a time as the job allows; in the records' order.

    Raises JobError for a job that can't work.
    """
    job = first_of(job)
    key, headers = find_key(job, environment), extra_headers(job, environment)
    refuse_unsendable(job, headers)
    provider, attach = provider_for(job), attacher(job)
    if attach is not None:
        records = list(map(attach, records))
    sent = {**provider.headers(key.reveal() if key else None), **headers}
    redactor = Redactor(secrets_of(key, job, headers))
    return uvloop.run(ask_each(job, provider, sent, redactor, records))


async def ask_each(
    job: Job,
    provider: Provider,
    headers: Mapping[str, str],
    redactor: Redactor,
    records: Sequence[Record],
) -> list[Tried]:
    """Ask for each record once."""
    buckets = limits.buckets_of(job, largest_cost(provider, records, most_of(job)))
    region = Region.make(Layout((len(buckets),), 1, 1))
    limiter = region.limiter()
    configure(limiter, buckets, monotonic_ns())
    transport = transport_for(job.timeout, ca_file=job.ca_file, proxy=job.proxy)
    asker = Asker(provider, transport, Pacer(limiter), region.slab(0), job.base_url)
    asker.use_headers(headers, redactor)
    slots, judge, attach = asyncio.Semaphore(limits.concurrency(job)), judge_of(job), attacher(job)

    async def ask(record: Record) -> Tried:
        try:
            request = request_of(provider, record if attach is None else attach(record))
        except UnrenderableRecord as error:
            return Tried(record, None, None, str(error))
        async with slots:
            attempt = await asker.ask(request)
        answer = attempt.answer
        fate = GOOD if judge is None or answer is None else judge.fate(answer)
        return Tried(record, request, attempt, fate=fate)

    try:
        return list(await asyncio.gather(*map(ask, records)))
    finally:
        await transport.close()
        region.close()


def request_of(provider: Provider, record: Record) -> Request:
    """The request for a record. Raises UnrenderableRecord, for a row that can't be read too."""
    if record.problem is not None:
        raise UnrenderableRecord(record.problem)
    return provider.request(record)
