"""OpenAI's API, and every server that is compatible with it: Azure, vLLM, Ollama, gateways.

Records become chat completions; OpenAI batch lines are sent as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from penstock.errors import JobError
from penstock.job import Job, nested
from penstock.providers.allowance import RenderError
from penstock.providers.batch import path_below
from penstock.providers.columns import check_columns, nearest
from penstock.providers.openai_answers import shape_for
from penstock.providers.openai_verdicts import RULES
from penstock.providers.provider import (
    Answer,
    Refusal,
    Request,
    UnrenderableRecord,
    predicted_tokens,
    request_hash,
)
from penstock.providers.refusals import one_line, read_refusal
from penstock.providers.templates import Template
from penstock.record import BatchLine, Record

CHAT_PATH: Final = "/chat/completions"
BEFORE_PROMPT: Final = b'[{"role":"user","content":'


class Asked(msgspec.Struct):
    """How many tokens a written-out body asks for, under the names of the three endpoints."""

    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    n: int | None = None


# Beyond any model's; keeps what a record asks for within the limiter's 64 bits.
MAX_OUTPUT_TOKENS: Final = 2**31

ASKED: Final = msgspec.json.Decoder(Asked)
ENCODER: Final = msgspec.json.Encoder()


class OpenAI:
    """The dialect, for one job."""

    name = "openai"
    rules = RULES

    def __init__(self, job: Job) -> None:
        """Compiles the job's templates; raises TemplateError, JobError."""
        self.base_path = urlsplit(job.base_url).path
        if self.base_path.rstrip("/").endswith(CHAT_PATH):
            raise JobError(
                f"--base-url {job.base_url!r} names one endpoint of the API",
                f"Give the URL without {CHAT_PATH}.",
            )
        where = f"--prompt-file {job.prompt_file}" if job.prompt_file else "--prompt"
        self.prompt = None if job.prompt is None else Template(where, job.prompt)
        self.system = None if job.system is None else Template("--system", job.system)
        self.messages_column = job.messages
        self.model = job.model
        params = nested(job.param)
        # The body is these two around the messages: model, messages, parameters in that order.
        self.head = ENCODER.encode({"model": job.model, "messages": 0}).removesuffix(b"0}")
        self.tail = b"," + ENCODER.encode(params)[1:] if params else b"}"
        # Nearly all jobs have one prompt and nothing else: its text is all that is to be written.
        self.only_prompt = self.prompt if job.system is None and job.messages is None else None
        self.output_tokens = asked_tokens(ENCODER.encode(params))

    def check_columns(self, columns: Collection[str]) -> None:
        """See Provider."""
        if self.prompt is None and self.messages_column is None:
            raise JobError(
                "neither --prompt nor --messages is given",
                "Give --prompt 'Summarize: {{ text }}', with a column of your input.",
            )
        if not self.model:
            raise JobError("--model is not given", "Give its name as the provider spells it.")
        for template in (self.prompt, self.system):
            if template is not None:
                check_columns(template, columns)
        if self.messages_column is not None and self.messages_column not in columns:
            raise JobError(
                f"--messages {self.messages_column}: there is no such column",
                nearest(self.messages_column, columns),
            )

    def request(self, record: Record) -> Request:
        """See Provider."""
        if record.batch is not None:
            return self.batch_request(record.batch)
        if record.fields is None:
            raise UnrenderableRecord(record.problem or "the row is empty")
        try:
            if self.only_prompt is not None:
                text = ENCODER.encode(self.only_prompt.render(record.fields))
                written = b"".join((BEFORE_PROMPT, text, b"}]"))
            else:
                written = ENCODER.encode(self.messages(record.fields))
        except RenderError as error:
            raise UnrenderableRecord(one_line(str(error))) from None
        except (UnicodeEncodeError, TypeError, RecursionError) as error:
            raise UnrenderableRecord(one_line(f"can't be written as JSON: {error}")) from None
        body = b"".join((self.head, written, self.tail))
        return Request(
            CHAT_PATH,
            body,
            request_hash(CHAT_PATH, body),
            predicted_tokens(len(written)),
            self.output_tokens,
        )

    def batch_request(self, line: BatchLine) -> Request:
        """A batch line's own request."""
        path = path_below(self.base_path, line.url)
        return Request(
            path,
            line.body,
            request_hash(path, line.body),
            predicted_tokens(len(line.body)),
            asked_tokens(line.body),
        )

    def messages(self, fields: Mapping[str, Any]) -> list[Any]:
        """The messages of a record; raises RenderError."""
        messages: list[Any] = []
        if self.system is not None:
            messages.append({"role": "system", "content": self.system.render(fields)})
        if self.prompt is not None:
            messages.append({"role": "user", "content": self.prompt.render(fields)})
        if self.messages_column is not None:
            messages.extend(listed_messages(self.messages_column, fields))
        return messages

    def headers(self, key: str | None) -> dict[str, str]:
        """See Provider."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        return headers

    def answer(self, path: str, body: bytes) -> Answer | Refusal:
        """See Provider."""
        return shape_for(path).answer(body)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """See Provider."""
        return read_refusal(status, headers, body)

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """See Provider; Azure's gateway has a header of its own."""
        found = headers.get("x-request-id") or headers.get("apim-request-id")
        return one_line(found, 200) if found else None


def create(job: Job) -> OpenAI:
    """The dialect for `job`; raises JobError, TemplateError."""
    return OpenAI(job)


def listed_messages(column: str, fields: Mapping[str, Any]) -> list[Any]:
    """The messages that a column holds, as a list or as JSON text; raises RenderError."""
    value = fields.get(column)
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            raise RenderError(f"column {column!r} is not JSON: {error}") from None
    if not isinstance(value, list) or not value or not all(isinstance(m, dict) for m in value):
        raise RenderError(f"column {column!r} is not a list of messages")
    return value


def asked_tokens(body: bytes) -> int:
    """The most output tokens that a request body asks for; 0 where it does not say."""
    try:
        asked = ASKED.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    most = asked.max_completion_tokens or asked.max_output_tokens or asked.max_tokens or 0
    return min(max(most, 0) * max(asked.n or 1, 1), MAX_OUTPUT_TOKENS)
