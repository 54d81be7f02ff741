"""What a provider is: the one interface between the engine and an API's dialect.

A dialect is one file that turns a record into request bytes and response bytes into an answer or a
refusal, and that brings its verdict table. It does no I/O and reads no clock: the engine sends,
waits and retries, the same way for every dialect.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
import xxhash

from penstock.endpoints import first_of
from penstock.errors import JobError
from penstock.job import Job
from penstock.providers.verdicts import Rule
from penstock.record import Record

# By name, so that a command loads the one dialect that its job speaks.
DIALECTS: Final = {
    "openai": "penstock.providers.openai",
    "openai-responses": "penstock.providers.openai_responses",
    "azure": "penstock.providers.azure",
    "anthropic": "penstock.providers.anthropic",
    "gemini": "penstock.providers.gemini",
    "http": "penstock.providers.http",
}

# Those of --task embed.
EMBEDDERS: Final = {
    "openai": "penstock.providers.openai_embeddings",
    "azure": "penstock.providers.openai_embeddings",
    "gemini": "penstock.providers.gemini_embeddings",
}

# Observed for English prose with GPT tokenizers; the engine learns the true ratio per model.
BYTES_PER_TOKEN: Final = 4


class Request(msgspec.Struct, frozen=True, gc=False):
    """What is sent for a record."""

    path: str  # to be appended to the base URL
    body: bytes
    request_hash: str  # xxh3-128 of path and body, in hex: neither key nor host
    input_tokens: int  # predicted
    output_tokens: int  # the most that the body asks for; 0 where it does not say
    weight_bytes: int = 0  # what its tokens are learned by, where that is not the body's length


class Answer(msgspec.Struct, gc=False):
    """What a 200 says. Token counts are None where the provider gives none."""

    output: str | None = None
    finish_reason: str | None = None
    model: str | None = None
    input_tokens: int | None = None  # all of it; those read from and written to a cache are part
    cached_input_tokens: int | None = None
    output_tokens: int | None = None  # all of it, reasoning too
    reasoning_tokens: int | None = None
    cache_write_tokens: int | None = None
    truncated: bool = False  # the output ends where a token limit cut it
    reasoning: str | None = None  # what the model thought, where it says
    tool_calls: str | None = None  # JSON text: the calls as the API has them


class Refusal(msgspec.Struct):
    """What an error body says; `code` and `type` are the keys of the verdict table."""

    code: str | None = None
    type: str | None = None
    message: str = ""  # one line of at most MESSAGE_CHARACTERS
    wait_seconds: float | None = None  # what the provider asks to wait, where it does


class BadResponse(Exception):
    """Raised when the body of a 200 is empty, cut, or not what the API promises."""


class UnrenderableRecord(Exception):
    """Raised when no request can be made of a record: it becomes a dead letter `invalid_input`."""


class Provider(Protocol):
    """One API dialect, made for one job."""

    name: str
    rules: Sequence[Rule]
    notes: Sequence[str]  # what it decided by itself, to be said before the first request

    def check_columns(self, columns: Collection[str]) -> None:
        """Raises JobError, TemplateError where records of these columns can't become requests."""

    def request(self, record: Record, more: Sequence[dict[str, Any]] = ()) -> Request:
        """The request for a record; raises UnrenderableRecord.

        A job's schema is asked for in the API's own way: see `structured`. `more` are messages
        that follow the record's conversation, in its shape: an answer, and what is wrong with it.
        """

    def headers(self, key: str | None) -> dict[str, str]:
        """The headers of every request, with the credential where there is one."""

    def answer(self, path: str, body: bytes) -> Answer | Refusal:
        """What a 200 to `path` says; an error object inside it is a Refusal. Raises BadResponse."""

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """What any other status says; never raises. `headers` ignores case, or is in lower case."""

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """The provider's own name for the request, for its support."""


def provider_for(job: Job) -> Provider:
    """The dialect that a job speaks, its templates compiled. Raises JobError, TemplateError.

    Of a job with several endpoints, that of the first: its requests are what results are known by.
    """
    job = first_of(job)
    dialects = EMBEDDERS if job.embeds else DIALECTS
    if job.provider not in dialects:
        raise JobError(
            f"--task embed: no vectors can be had from --provider {job.provider}",
            f"Allowed: {', '.join(EMBEDDERS)}; openai is every compatible server.",
        )
    dialect = importlib.import_module(dialects[job.provider])
    provider: Provider = dialect.create(job)
    return provider


def request_hash(path: str, body: bytes) -> str:
    """What two requests for the same thing have in common; 32 hex digits."""
    return hash_behind(hash_head(path), body)


def hash_head(path: str) -> bytes:
    """What of a request's hash is the same for all that go to `path`."""
    return path.encode() + b"\0"


def hash_behind(head: bytes, body: bytes) -> str:
    """The `request_hash` of a body, behind its `hash_head`."""
    digest: str = xxhash.xxh3_128_hexdigest(head + body)
    return digest


def predicted_tokens(size_bytes: int) -> int:
    """A first guess of the tokens in so many bytes of text, rounded up."""
    return -(-size_bytes // BYTES_PER_TOKEN)
