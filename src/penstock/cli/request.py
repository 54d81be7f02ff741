"""A record's request as people see it: as text, as JSON, or as a command that repeats it.

A key is shown as the place that it comes from, `$OPENAI_API_KEY`, and so is a header's `env:VAR`:
what is printed here gets pasted into tickets.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

import msgspec

from penstock.addresses import SIMULATOR, place_of, simulated_url, url_of
from penstock.endpoints import first_of
from penstock.job import Job
from penstock.providers.provider import Provider, Request
from penstock.providers.render import describe
from penstock.providers.render import shown as without_secrets


class Shown(msgspec.Struct, frozen=True):
    """A request, and where it goes."""

    url: str
    headers: dict[str, str]  # without secrets
    secrets: frozenset[str]  # what stands in their places, for a shell to expand
    body: str
    text: str  # all of it, as it is on the wire but for the secrets
    request_hash: str
    options: list[str]  # curl's, for the job's --ca-file and --proxy

    def as_json(self) -> dict[str, Any]:
        """For --json: the body as the object that it is."""
        return {
            "method": "POST",
            "url": self.url,
            "headers": self.headers,
            "body": msgspec.Raw(self.body.encode()),
            "request_hash": self.request_hash,
        }

    def as_curl(self) -> str:
        """A command that sends it again; the body stands as it is, on a line of its own."""
        headers = [f"{name}: {value}" for name, value in self.headers.items()]
        words = [
            f"curl -sS {shlex.quote(self.url)}",
            *(f"-H {quoted(header, self.secrets)}" for header in headers),
            *self.options,
            "--data-binary @- <<'END'",
        ]
        return " \\\n  ".join(words) + f"\n{self.body}\nEND"


def shown(request: Request, provider: Provider, job: Job) -> Shown:
    """A request as its job would send it."""
    job = first_of(job)
    base_url = simulated_url(job, SIMULATOR) if job.simulate else job.base_url
    key, own = place_of_key(job), places_of_headers(job)
    literal = {name: without_secrets(name, value) for name, value in job.header.items()}
    headers = {**provider.headers(key), **literal, **own}
    authority = [f"--cacert {shlex.quote(job.ca_file)}"] if job.ca_file else []
    proxy = [f"--proxy {shlex.quote(job.proxy)}"] if job.proxy else []
    return Shown(
        url=url_of(base_url, request.path),
        headers=headers,
        secrets=frozenset([*([key] if key else []), *own.values()]),
        body=request.body.decode("utf-8", "replace"),
        text=describe(request, base_url, headers),
        request_hash=request.request_hash,
        options=authority + proxy,
    )


def place_of_key(job: Job) -> str | None:
    """Where a job's key comes from, as a shell writes it; None where no key is sent."""
    if job.api_key_file:
        return f"$(cat {shlex.quote(job.api_key_file)})"
    if job.api_key_command:
        return f"$({job.api_key_command})"
    if job.api_key_env:
        return f"${job.api_key_env}"
    place = None if job.simulate else place_of(job.base_url)
    return f"${place.variables[0]}" if place else None


def places_of_headers(job: Job) -> dict[str, str]:
    """The job's headers whose values are in the environment, as a shell writes those."""
    return {
        name: f"${value.removeprefix('env:')}"
        for name, value in job.header.items()
        if value.startswith("env:")
    }


def quoted(text: str, expanded: frozenset[str]) -> str:
    """`text` as one word for a shell, which expands nothing in it but `expanded`."""
    if not any(one in text for one in expanded):
        return shlex.quote(text)
    # Of two that begin alike the longer one first.
    among = "|".join(map(re.escape, sorted(expanded, key=len, reverse=True)))
    parts = re.split(f"({among})", text)
    parts[::2] = [re.sub(r'([\\"$`])', r"\\\1", part) for part in parts[::2]]
    return '"' + "".join(parts) + '"'
