"""OpenAI's API, and every server that is compatible with it: vLLM, Ollama, llama.cpp, gateways.

Records become chat completions; OpenAI batch lines are sent as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from penstock.errors import JobError
from penstock.job import Job
from penstock.providers.batch import path_below
from penstock.providers.dialect import ENCODER, JSON_HEADERS, MAX_OUTPUT_TOKENS, Dialect, params_of
from penstock.providers.openai_answers import shape_for
from penstock.providers.openai_verdicts import RULES
from penstock.providers.provider import (
    Answer,
    Refusal,
    Request,
    predicted_tokens,
    request_hash,
)
from penstock.providers.refusals import one_line, read_refusal
from penstock.providers.verdicts import Rule
from penstock.record import BatchLine

CHAT_PATH: Final = "/chat/completions"


class Asked(msgspec.Struct):
    """How many tokens a written-out body asks for, under the names of the three endpoints."""

    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    n: int | None = None


ASKED: Final = msgspec.json.Decoder(Asked)


class OpenAI(Dialect):
    """The dialect, for one job."""

    name = "openai"
    rules: Sequence[Rule] = RULES
    endpoint = CHAT_PATH  # what records are sent to

    def __init__(self, job: Job, prefix: str = "") -> None:
        """Compiles the job's templates; raises TemplateError, JobError.

        `prefix` is what of the API's own path the base URL lacks.
        """
        self.base_path = urlsplit(job.base_url).path.rstrip("/") + prefix
        if self.base_path.endswith(self.endpoint):
            raise JobError(
                f"--base-url {job.base_url!r} names one endpoint of the API",
                f"Give the URL without {self.endpoint}.",
            )
        self.prefix = prefix
        params = self.native(params_of(job))
        most = asked_tokens(ENCODER.encode(params))
        super().__init__(job, prefix + self.endpoint, {"model": job.model}, params, most)

    def native(self, params: dict[str, Any]) -> dict[str, Any]:
        """The job's parameters under the names that the endpoint has for them."""
        return params

    def fields_of(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """See Dialect."""
        return {"messages": messages}

    def batch_request(self, line: BatchLine) -> Request:
        """See Dialect."""
        path = self.prefix + path_below(self.base_path, line.url)
        return Request(
            path,
            line.body,
            request_hash(path, line.body),
            predicted_tokens(len(line.body)),
            asked_tokens(line.body),
        )

    def headers(self, key: str | None) -> dict[str, str]:
        """See Provider."""
        return JSON_HEADERS if key is None else {**JSON_HEADERS, "Authorization": f"Bearer {key}"}

    def answer(self, path: str, body: bytes) -> Answer | Refusal:
        """See Provider."""
        return shape_for(path).answer(body)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """See Provider."""
        return read_refusal(status, headers, body)

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """See Provider; gateways (Azure's, LiteLLM) have headers of their own."""
        found = headers.get("x-request-id") or headers.get("apim-request-id")
        found = found or headers.get("x-litellm-call-id")
        return one_line(found, 200) if found else None


def create(job: Job) -> OpenAI:
    """The dialect for `job`; raises JobError, TemplateError."""
    return OpenAI(job)


def asked_tokens(body: bytes) -> int:
    """The most output tokens that a request body asks for; 0 where it does not say."""
    try:
        asked = ASKED.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    most = asked.max_completion_tokens or asked.max_output_tokens or asked.max_tokens or 0
    return min(max(most, 0) * max(asked.n or 1, 1), MAX_OUTPUT_TOKENS)
