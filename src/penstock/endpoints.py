"""The endpoints of a job: what it says once, and what each of its `endpoints` says for itself.

An endpoint's options are options of the job, by the same names and with the same meaning: what it
does not say is as the job says it. So an endpoint is seen as a job of its own.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from penstock import addresses
from penstock.errors import JobError
from penstock.job import Job, check

KEY_SOURCES: Final = ("api_key_env", "api_key_file", "api_key_command")
LIMITS: Final = (
    *("rpm", "rps", "rpd", "tpm", "tpd", "input_tpm", "output_tpm"),
    *("max_concurrency", "limiter"),
)
# What an endpoint may say for itself, and what is no option of a job.
OPTIONS: Final = (
    *("base_url", "provider", "model", "header"),
    *(*KEY_SOURCES, "api_key_refresh"),
    *LIMITS,
)
OWN: Final = ("name", "weight")
SETTLED: Final = ("provider", "base_url")  # what of an endpoint may be left open
MOST_ENDPOINTS: Final = 64
MOST_NAME_CHARACTERS: Final = 100


class Endpoint(msgspec.Struct, frozen=True):
    """One endpoint of a job."""

    name: str
    job: Job  # the job as it is for this endpoint; it has none others
    weight: float = 1.0


def endpoints_of(job: Job) -> tuple[Endpoint, ...]:
    """The endpoints of a job, the first one being that by which requests are known."""
    if not job.endpoints:
        return (Endpoint(place_of(job.base_url), job),)
    jobs = [job_at(job, table) for table in job.endpoints]
    places = [place_of(one.base_url) for one in jobs]
    return tuple(
        Endpoint(
            table.get("name") or (place if places.count(place) == 1 else f"{place}#{number}"),
            one,
            float(table.get("weight", 1)),
        )
        for number, (table, one, place) in enumerate(
            zip(job.endpoints, jobs, places, strict=True), 1
        )
    )


def first_of(job: Job) -> Job:
    """The job as it is for its first endpoint."""
    return job_at(job, job.endpoints[0]) if job.endpoints else job


def job_at(job: Job, table: Mapping[str, Any]) -> Job:
    """The job as it is for the endpoint of a table."""
    values = {name: value for name, value in table.items() if name in OPTIONS}
    if any(name in values for name in KEY_SOURCES):
        values = {**dict.fromkeys((*KEY_SOURCES, "api_key_refresh")), **values}
    return msgspec.structs.replace(job, endpoints=(), **values)


def settled(job: Job, told: Container[str]) -> Job:
    """`job` with the dialect and the base URL of each endpoint, where they are not told.

    `told` are the options that were given. Raises JobError.
    """
    if not job.endpoints:
        return settled_one(job, told)
    tables = []
    for table in job.endpoints:
        one = job_at(job, table)
        found = settled_one(one, {*table, *(name for name in SETTLED if name in told)})
        names = [name for name in SETTLED if getattr(found, name) != getattr(one, name)]
        tables.append({**table, **{name: getattr(found, name) for name in names}})
    return msgspec.structs.replace(job, endpoints=tuple(tables))


def settled_one(job: Job, told: Container[str]) -> Job:
    return addresses.settled(job, told_provider="provider" in told, told_url="base_url" in told)


def at_one_place(job: Job, origin: str) -> Job:
    """A job whose every endpoint is below `origin`, where no key is asked for."""
    no_key = dict.fromkeys((*KEY_SOURCES, "api_key_refresh"))
    tables = tuple(
        {
            **table,
            **no_key,
            "name": one.name,
            "base_url": addresses.simulated_url(one.job, origin),
        }
        for table, one in zip(job.endpoints, endpoints_of(job), strict=False)
    )
    base_url = addresses.simulated_url(job, origin)
    return msgspec.structs.replace(job, base_url=base_url, endpoints=tables, **no_key)


def dialect_of(job: Job) -> tuple[str | None, ...]:
    """What of an endpoint its requests depend on: those of two that are alike are the same."""
    return job.provider, job.model, urlsplit(job.base_url).path.rstrip("/")


def place_of(base_url: str) -> str:
    """Host and port, as a name for the endpoint there."""
    return urlsplit(base_url).netloc


def check_endpoints(job: Job) -> None:
    """Raises JobError for what can't be of a job's endpoints, naming the endpoint."""
    if len(job.endpoints) > MOST_ENDPOINTS:
        raise JobError(f"there are more than {MOST_ENDPOINTS} endpoints", "Leave some out.")
    for number, table in enumerate(job.endpoints, 1):
        check_own(number, table)
    endpoints = endpoints_of(job)
    for number, endpoint in enumerate(endpoints, 1):
        try:
            check(endpoint.job)
        except JobError as error:
            raise JobError(f"endpoint {number}: {error.what}", error.next_step) from None
    names = [endpoint.name for endpoint in endpoints]
    for number, name in enumerate(names, 1):
        if names.index(name) != number - 1:
            raise JobError(
                f"endpoint {number}: name {name!r} is that of another", "Give each its own."
            )


def check_own(number: int, table: Mapping[str, Any]) -> None:
    """Raises JobError for a name or a weight that can't be."""
    name, weight = table.get("name", "a"), table.get("weight", 1)
    if not isinstance(name, str) or not 0 < len(name) <= MOST_NAME_CHARACTERS:
        what = f"text of 1 to {MOST_NAME_CHARACTERS} characters"
        raise JobError(f"endpoint {number}: name {name!r}: expected {what}")
    if not name.isprintable():
        raise JobError(f"endpoint {number}: name {name!r} can't be printed")
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not is_number or not 0 < weight < math.inf:
        raise JobError(f"endpoint {number}: weight {weight!r}: expected a number above 0")
