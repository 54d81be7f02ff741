"""What the dialects have in common that ask by a conversation: how a record's body is written.

A body is what the job says (model, parameters) around what the record says. The first is written
once, and for a job of one prompt all but the prompt's text is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from penstock.errors import JobError
from penstock.job import Job, nested
from penstock.providers.allowance import RenderError
from penstock.providers.conversation import Conversation, weight_bytes
from penstock.providers.provider import (
    Request,
    UnrenderableRecord,
    hash_behind,
    hash_head,
    predicted_tokens,
)
from penstock.providers.refusals import one_line
from penstock.providers.structured import json_schema_format, with_structure
from penstock.record import BatchLine, Record

ENCODER: Final = msgspec.json.Encoder()

# Stands for the prompt's text while the rest is written; no model's name or parameter is like it.
HOLE: Final = "\0the prompt\0"
JSON_HEADERS: Final = {"Content-Type": "application/json", "Accept": "application/json"}

# Beyond any model's; keeps what a record asks for within the limiter's 64 bits.
MAX_OUTPUT_TOKENS: Final = 2**31

Fields = dict[str, Any]


class Dialect(ABC):
    """A dialect that turns messages into fields of its body; see Provider for what it is asked."""

    name = ""

    def __init__(
        self, job: Job, path: str, head: Fields, params: Fields, output_tokens: int
    ) -> None:
        """Compiles the job's templates; raises TemplateError, JobError.

        `head` goes before what the record says, and `params` behind it.
        """
        refuse_body(job)
        self.conversation = Conversation(job)
        self.only_prompt = self.conversation.only_prompt
        self.attached = self.conversation.attached
        self.model = job.model
        self.notes: Sequence[str] = ()
        self.path = path
        self.hash_head = hash_head(path)
        self.output_tokens = min(output_tokens, MAX_OUTPUT_TOKENS)
        self.head = ENCODER.encode({**head, "": 0}).removesuffix(b'"":0}')
        self.tail = b"," + ENCODER.encode(params)[1:] if params else b"}"
        # Nearly all jobs have one prompt and nothing else: its text is all that is to be written.
        around = self.written([{"role": "user", "content": HOLE}])
        before, after = around.split(ENCODER.encode(HOLE))
        self.before, self.after = self.head + before, after + self.tail
        self.fixed_bytes = len(self.head) + len(self.tail)

    @abstractmethod
    def fields_of(self, messages: list[Fields]) -> Fields:
        """The fields of the body that say `messages`, which are in the shape of OpenAI's chat.

        Raises RenderError for a message that the dialect can't say.
        """

    def written(self, messages: list[Fields]) -> bytes:
        """The fields of `messages` as they stand in the body, without braces around them."""
        return ENCODER.encode(self.fields_of(messages))[1:-1]

    def check_columns(self, columns: Collection[str]) -> None:
        """See Provider."""
        self.conversation.check_columns(columns)
        if not self.model:
            raise JobError("--model is not given", "Give its name as the provider spells it.")

    def request(self, record: Record, more: Sequence[Fields] = ()) -> Request:
        """See Provider."""
        fields = record.fields
        if fields is None:
            return self.request_without_columns(record)
        try:
            if self.only_prompt is not None and not more:
                text = ENCODER.encode(self.only_prompt.render(fields))
                body = b"".join((self.before, text, self.after))
            else:
                written = self.written([*self.conversation.messages(fields), *more])
                body = b"".join((self.head, written, self.tail))
        except RenderError as error:
            raise UnrenderableRecord(one_line(str(error))) from None
        except (UnicodeEncodeError, TypeError, RecursionError) as error:
            raise UnrenderableRecord(one_line(f"can't be written as JSON: {error}")) from None
        size = len(body) - self.fixed_bytes
        weight = weight_bytes(size, fields) if self.attached else 0
        return Request(
            self.path,
            body,
            hash_behind(self.hash_head, body),
            predicted_tokens(weight or size),
            self.output_tokens,
            weight,
        )

    def request_without_columns(self, record: Record) -> Request:
        """The request of a record that is a batch line, or none."""
        if record.batch is None:
            raise UnrenderableRecord(record.problem or "the row is empty")
        return self.batch_request(record.batch)

    def batch_request(self, line: BatchLine) -> Request:
        """A batch line's own request; raises UnrenderableRecord where the dialect has none."""
        raise UnrenderableRecord(f"{self.name} takes no OpenAI batch lines")

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """See Provider."""
        found = headers.get("x-request-id")
        return one_line(found, 200) if found else None


def params_of(job: Job) -> Fields:
    """A job's parameters, with its schema as OpenAI's chat has it. Raises JobError."""
    if not isinstance(job.schema, dict):
        return nested(job.param)
    wanted = {"type": "json_schema", "json_schema": json_schema_format(job.schema)}
    return with_structure(job, {"response_format": wanted})


def refuse_body(job: Job) -> None:
    """Raises JobError for what is only for an API that has no dialect of its own."""
    for name in ("body", "pointer"):
        if getattr(job, name):
            raise JobError(
                f"--{name} is given, which is for --provider http",
                f"The provider is {job.provider}: give a --prompt, or --provider http.",
            )
