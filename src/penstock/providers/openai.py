"""OpenAI's API, and every server that is compatible with it: Azure, vLLM, Ollama, gateways.

Records become chat completions; OpenAI batch lines are sent as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from penstock.errors import JobError
from penstock.job import Job, nested
from penstock.providers.allowance import RenderError
from penstock.providers.batch import path_below
from penstock.providers.conversation import Conversation, weight_bytes
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
from penstock.providers.structured import json_schema_format, with_structure
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
        self.conversation = Conversation(job)
        self.only_prompt = self.conversation.only_prompt
        self.model = job.model
        params = self.structured(job)
        # The body is these two around the messages: model, messages, parameters in that order.
        self.head = ENCODER.encode({"model": job.model, "messages": 0}).removesuffix(b"0}")
        self.tail = b"," + ENCODER.encode(params)[1:] if params else b"}"
        self.output_tokens = asked_tokens(ENCODER.encode(params))

    def structured(self, job: Job) -> dict[str, Any]:
        """The job's parameters, and the field that asks for its schema. Raises JobError."""
        if not isinstance(job.schema, dict):
            return nested(job.param)
        wanted = {"type": "json_schema", "json_schema": json_schema_format(job.schema)}
        return with_structure(job, {"response_format": wanted})

    def check_columns(self, columns: Collection[str]) -> None:
        """See Provider."""
        self.conversation.check_columns(columns)
        if not self.model:
            raise JobError("--model is not given", "Give its name as the provider spells it.")

    def request(self, record: Record, more: Sequence[dict[str, Any]] = ()) -> Request:
        """See Provider."""
        if record.batch is not None:
            return self.batch_request(record.batch)
        if record.fields is None:
            raise UnrenderableRecord(record.problem or "the row is empty")
        try:
            if self.only_prompt is not None and not more:
                text = ENCODER.encode(self.only_prompt.render(record.fields))
                written = b"".join((BEFORE_PROMPT, text, b"}]"))
            else:
                written = ENCODER.encode([*self.conversation.messages(record.fields), *more])
        except RenderError as error:
            raise UnrenderableRecord(one_line(str(error))) from None
        except (UnicodeEncodeError, TypeError, RecursionError) as error:
            raise UnrenderableRecord(one_line(f"can't be written as JSON: {error}")) from None
        weight = weight_bytes(len(written), record.fields) if self.conversation.attached else 0
        body = b"".join((self.head, written, self.tail))
        return Request(
            CHAT_PATH,
            body,
            request_hash(CHAT_PATH, body),
            predicted_tokens(weight or len(written)),
            self.output_tokens,
            weight,
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


def asked_tokens(body: bytes) -> int:
    """The most output tokens that a request body asks for; 0 where it does not say."""
    try:
        asked = ASKED.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    most = asked.max_completion_tokens or asked.max_output_tokens or asked.max_tokens or 0
    return min(max(most, 0) * max(asked.n or 1, 1), MAX_OUTPUT_TOKENS)
