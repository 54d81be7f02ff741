"""The key: where it comes from.

A key is read from the environment, a file or what a command prints, never from an argument. Each
provider's own variable, such as OPENAI_API_KEY, is for that provider's hosts: it is not sent
elsewhere unless it is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from penstock.addresses import place_of
from penstock.engine.key_command import key_printed_by
from penstock.engine.secret import Secret, checked
from penstock.errors import JobError
from penstock.job import Job

NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: a token
# With one of these a server would see another request than was sent, or take a part of it for the
# next one on the connection.
AUTHORIZING = frozenset({"authorization", "api-key", "x-api-key", "x-goog-api-key"})
FRAMING = frozenset({"connection", "content-length", "expect", "transfer-encoding", "upgrade"})


class Access(msgspec.Struct, frozen=True):
    """By what an endpoint is asked."""

    key: Secret | None = None
    headers: dict[str, str] = {}  # the job's own, `env:` replaced
    renew: Callable[[], Secret] | None = None  # another key, from the command that prints it


def access_to(job: Job, environment: Mapping[str, str]) -> Access:
    """The key and the headers of a job's endpoint. Raises JobError."""
    command = job.api_key_command
    renew = partial(key_printed_by, command, environment) if command else None
    return Access(find_key(job, environment), extra_headers(job, environment), renew)


def find_key(job: Job, environment: Mapping[str, str]) -> Secret | None:
    """The job's key, or None where the endpoint is asked without one. Raises JobError."""
    if job.api_key_file:
        return read_key_file(Path(job.api_key_file))
    if job.api_key_command:
        return key_printed_by(job.api_key_command, environment)
    place = place_of(job.base_url)
    names = (job.api_key_env,) if job.api_key_env else place.variables if place else ()
    for name in names:
        value = environment.get(name, "").strip()
        if value:
            return checked(value, f"the environment variable {name}")
    if not names or (not job.api_key_env and brings_its_own(job)):
        return None
    raise JobError(
        f"there is no key: the environment variable {' or '.join(names)} is not set",
        f"Set {names[0]}, or name another by --api-key-env, a file by --api-key-file or a command "
        "by --api-key-command; --simulate needs none.",
    )


def brings_its_own(job: Job) -> bool:
    """Whether a job's own headers hold what the provider asks for, such as a token of Azure's."""
    return any(name.lower() in AUTHORIZING for name in job.header)


def read_key_file(path: Path) -> Secret:
    """The key in a file. Raises JobError."""
    try:
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"--api-key-file {path}: {error}", "Name a readable file.") from None
    if not value:
        raise JobError(f"--api-key-file {path}: the file is empty", "Put the key into it.")
    return checked(value, f"--api-key-file {path}")


def extra_headers(job: Job, environment: Mapping[str, str]) -> dict[str, str]:
    """The job's --header values, `env:VAR` replaced. Raises JobError."""
    headers = {}
    for name, value in job.header.items():
        if value.startswith("env:"):
            variable = value.removeprefix("env:")
            if variable not in environment:
                raise JobError(
                    f"--header {name}: the environment variable {variable} is not set",
                    f"Set {variable}, or give the value itself.",
                )
            value = environment[variable]
        if any(c in name + value for c in "\r\n\0"):
            raise JobError(f"--header {name!r}: a header can't hold line breaks")
        if not NAME.fullmatch(name):
            raise JobError(f"--header {name!r}: no header has such a name", "Check its spelling.")
        if name.lower() in FRAMING:
            raise JobError(
                f"--header {name}: it says where a request ends, which Penstock sets itself",
                "Leave it out.",
            )
        headers[name] = value
    return headers


def secrets_of(key: Secret | None, job: Job, headers: Mapping[str, str]) -> list[str]:
    """All that no log, manifest or message may show."""
    hidden = [headers[name] for name, value in job.header.items() if value.startswith("env:")]
    return ([key.reveal()] if key else []) + hidden
