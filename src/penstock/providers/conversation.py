"""What is asked of a record: the conversation that a job describes, as a list of messages.

In the shape of OpenAI's chat, which other dialects turn into their own: objects with a `role` and a
`content`, a system message first where there is one: --system, then the job's own messages, then
the prompt; or a column of messages as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from penstock.errors import JobError
from penstock.job import Job, column_names
from penstock.providers.allowance import RenderError
from penstock.providers.columns import check_columns, nearest
from penstock.providers.provider import BYTES_PER_TOKEN
from penstock.providers.templates import Template
from penstock.record import Attached, Attachment

# A first guess at an image, or a page or two; the engine learns what they really take.
ATTACHMENT_TOKENS: Final = 1000


class Conversation:
    """The messages of one job's records."""

    def __init__(self, job: Job) -> None:
        """Compiles the job's templates; raises TemplateError."""
        where = f"--prompt-file {job.prompt_file}" if job.prompt_file else "--prompt"
        self.prompt = None if job.prompt is None else Template(where, job.prompt)
        self.system = None if job.system is None else Template("--system", job.system)
        self.column = job.messages if isinstance(job.messages, str) else None
        listed = () if isinstance(job.messages, str) else job.messages or ()
        self.listed = [
            (one.role, Template(f"messages[{place}]", one.content or ""))
            for place, one in enumerate(listed)
        ]
        # Nearly all jobs have one prompt and nothing else. A dialect writes its text alone, as
        # what stands around it is the same for all records.
        self.attached = (*column_names(job.image), *column_names(job.file))
        alone = job.system is None and job.messages is None and not self.attached
        self.only_prompt = self.prompt if alone else None

    def check_columns(self, columns: Collection[str]) -> None:
        """Raises JobError, TemplateError where records of these columns have no conversation."""
        if self.prompt is None and self.column is None and not self.listed:
            raise JobError(
                "neither --prompt nor --messages is given",
                "Give --prompt 'Summarize: {{ text }}', with a column of your input.",
            )
        for template in (self.system, *(content for _, content in self.listed), self.prompt):
            if template is not None:
                check_columns(template, columns)
        if self.column is not None and self.column not in columns:
            raise JobError(
                f"--messages {self.column}: there is no such column",
                nearest(self.column, columns),
            )
        for name in self.attached:
            if name not in columns:
                raise JobError(
                    f"--image and --file: there is no column {name!r}", nearest(name, columns)
                )

    def messages(self, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The messages of a record; raises RenderError."""
        messages: list[dict[str, Any]] = []
        if self.system is not None:
            messages.append({"role": "system", "content": self.system.render(fields)})
        for role, content in self.listed:
            messages.append({"role": role, "content": content.render(fields)})
        if self.prompt is not None:
            messages.append({"role": "user", "content": self.prompt.render(fields)})
        if self.column is not None:
            messages.extend(listed_messages(self.column, fields))
        return with_attachments(messages, attachments_of(fields)) if self.attached else messages


def attachments_of(fields: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """What goes with a record's prompt, where that was read."""
    return fields.attachments if isinstance(fields, Attached) else ()


def with_attachments(
    messages: list[dict[str, Any]], attachments: Sequence[Attachment]
) -> list[dict[str, Any]]:
    """The messages, the last one of the user's with the images and files behind its text."""
    if not attachments:
        return messages
    places = [at for at, one in enumerate(messages) if one.get("role") == "user"]
    if not places:
        return [*messages, {"role": "user", "content": list(map(part_of, attachments))}]
    asked = messages[places[-1]]
    content = asked.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
    made = {**asked, "content": [*parts, *map(part_of, attachments)]}
    return [*messages[: places[-1]], made, *messages[places[-1] + 1 :]]


def part_of(one: Attachment) -> dict[str, Any]:
    """An image or a file as a part of a content."""
    if one.is_image:
        return {"type": "image_url", "image_url": {"url": one.url}}
    return {"type": "file", "file": {"filename": one.name or "file", "file_data": one.url}}


def weight_bytes(written: int, fields: Mapping[str, Any]) -> int:
    """What `written` bytes of messages weigh by their tokens: an image's content is not text."""
    attachments = attachments_of(fields)
    content = sum(len(one.url) for one in attachments)
    return max(1, written - content + len(attachments) * ATTACHMENT_TOKENS * BYTES_PER_TOKEN)


def listed_messages(column: str, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
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
