"""Azure's OpenAI API: OpenAI's dialect below another path, with a key in a header of its own.

Two forms of the path: `/openai/v1`, where the deployment is the body's `model`; and the older
`/openai/deployments/NAME` with `?api-version=...`, which is given with the base URL.
See https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote, urlsplit

import msgspec

from penstock.errors import JobError
from penstock.job import Job
from penstock.providers.dialect import JSON_HEADERS
from penstock.providers.openai import OpenAI

ROOT: Final = "/openai"
DEPLOYMENTS: Final = "deployments"


class Azure(OpenAI):
    """The dialect, for one job."""

    name = "azure"

    def __init__(self, job: Job) -> None:
        """Compiles the job's templates; raises TemplateError, JobError."""
        parts = urlsplit(job.base_url)
        deployment = deployment_in(parts.path)
        if deployment and not parts.query:
            raise JobError(
                f"--base-url {job.base_url!r} names a deployment, but no version of the API",
                "Add it: ?api-version=2024-10-21, or give the URL up to the host for the v1 API.",
            )
        # Of two names for one thing the path's is the one that counts.
        job = msgspec.structs.replace(job, model=job.model or deployment)
        super().__init__(job, prefix_of(parts.path.rstrip("/"), parts.query, job.model))

    def headers(self, key: str | None) -> dict[str, str]:
        """See Provider."""
        return JSON_HEADERS if key is None else {**JSON_HEADERS, "api-key": key}


def create(job: Job) -> Azure:
    """The dialect for `job`; raises JobError, TemplateError."""
    return Azure(job)


def deployment_in(path: str) -> str | None:
    """The deployment that a base URL's path names."""
    _, found, after = path.partition(f"/{DEPLOYMENTS}/")
    return unquote(after.split("/")[0]) if found else None


def prefix_of(path: str, query: str, model: str | None) -> str:
    """What of the API's own path a base URL lacks."""
    if deployment_in(path) or path.endswith("/v1"):
        return ""
    root = "" if path.endswith(ROOT) else ROOT
    return f"{root}/{DEPLOYMENTS}/{quote(model or '', safe='')}" if query else f"{root}/v1"
