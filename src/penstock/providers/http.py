"""Any JSON API: the body is a template of the job's, and pointers say where the answer is.

Pointers are JSON Pointers (RFC 6901), such as `/choices/0/text`. Errors are judged by their status
and, where their body is one of the usual error objects, by its code and type.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from penstock.errors import JobError
from penstock.job import Job, nested
from penstock.providers.allowance import RenderError
from penstock.providers.columns import check_columns
from penstock.providers.dialect import ENCODER, JSON_HEADERS
from penstock.providers.mending import MAX_COUNT, parsed
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
from penstock.providers.shape import refusal_within
from penstock.providers.templates import Template
from penstock.providers.verdicts import Rule
from penstock.record import Record

OUTPUT: Final = "output"
TEXTS: Final = (OUTPUT, "finish_reason", "model", "reasoning", "tool_calls")
COUNTS: Final = (
    *("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens"),
    "cache_write_tokens",
)
CUT: Final = ("length", "max_tokens", "MAX_TOKENS")  # finish reasons of what a token limit cut


class Http:
    """The dialect, for one job."""

    name = "http"
    rules: Sequence[Rule] = RULES
    notes: Sequence[str] = ()

    def __init__(self, job: Job) -> None:
        """Compiles the body's template; raises TemplateError, JobError."""
        for name in ("prompt", "system", "messages"):
            if getattr(job, name) is not None:
                raise JobError(
                    f"--{name} is given with --provider http",
                    "Write the whole request into --body, a template that makes JSON.",
                )
        if job.body is None:
            raise JobError(
                "--provider http is given without --body",
                """Give the request: --body '{"text": {{ text | tojson }}}'.""",
            )
        self.template = Template("--body", job.body)
        self.pointers = pointers_of(job.pointer)
        self.params = nested(job.param)
        self.url_path = urlsplit(job.base_url).path

    def check_columns(self, columns: Collection[str]) -> None:
        """See Provider."""
        check_columns(self.template, columns)

    def request(self, record: Record, more: Sequence[dict[str, Any]] = ()) -> Request:
        """See Provider; `more` follows the messages of a body that has some, as chats have.

        All other bodies are asked again as they are.
        """
        if record.fields is None:
            raise UnrenderableRecord(record.problem or "the row is no record with columns")
        try:
            body = self.body(self.template.render(record.fields), more)
        except RenderError as error:
            raise UnrenderableRecord(one_line(str(error))) from None
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            raise UnrenderableRecord(one_line(f"--body makes no JSON: {error}")) from None
        # The base URL is the whole one; its path is a part of what is asked for all the same.
        hashed = request_hash(self.url_path, body)
        return Request("", body, hashed, predicted_tokens(len(body)), 0)

    def body(self, text: str, more: Sequence[dict[str, Any]]) -> bytes:
        """What is sent: the text as it is, with the job's parameters laid over it."""
        raw = text.strip().encode()
        value = msgspec.json.decode(raw)
        if not (self.params or more):
            return raw
        if not isinstance(value, dict):
            if self.params:
                raise RenderError("--body makes no object that a --param could be a field of")
            return raw
        value = laid_over(value, self.params)
        messages = value.get("messages")
        if more and isinstance(messages, list):
            value["messages"] = [*messages, *more]
        return ENCODER.encode(value)

    def headers(self, key: str | None) -> dict[str, str]:
        """See Provider."""
        return JSON_HEADERS if key is None else {**JSON_HEADERS, "Authorization": f"Bearer {key}"}

    def answer(self, path: str, body: bytes) -> Answer | Refusal:
        """See Provider."""
        value = parsed(body)
        found = {name: at(value, pointer) for name, pointer in self.pointers.items()}
        if found[OUTPUT] is None and found.get("finish_reason") is None:
            return refusal_within(body)
        answer = Answer()
        for name in TEXTS:
            setattr(answer, name, as_text(found.get(name)))
        for name in COUNTS:
            setattr(answer, name, as_count(found.get(name)))
        answer.truncated = answer.finish_reason in CUT
        return answer

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """See Provider."""
        return read_refusal(status, headers, body)

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """See Provider."""
        found = headers.get("x-request-id") or headers.get("request-id")
        return one_line(found, 200) if found else None


def create(job: Job) -> Http:
    """The dialect for `job`; raises JobError, TemplateError."""
    return Http(job)


def pointers_of(given: Mapping[str, str]) -> dict[str, list[str]]:
    """The steps of each pointer. Raises JobError."""
    for name, pointer in given.items():
        if name not in TEXTS + COUNTS:
            raise JobError(
                f"--pointer {name}={pointer}: there is no {name!r} in an answer",
                f"Allowed: {', '.join(TEXTS + COUNTS)}.",
            )
        if pointer and not pointer.startswith("/"):
            raise JobError(
                f"--pointer {name}={pointer}: a JSON pointer begins with /",
                "Such as /choices/0/text.",
            )
    if OUTPUT not in given:
        raise JobError(
            "--provider http is given without --pointer output=...",
            "Say where the answer is in the response: --pointer output=/choices/0/text.",
        )
    return {name: steps_of(pointer) for name, pointer in given.items()}


def steps_of(pointer: str) -> list[str]:
    """A pointer's parts, without their escapes (RFC 6901, 4)."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def at(value: Any, steps: list[str]) -> Any:
    """What is at a pointer; None where nothing is."""
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def as_text(value: Any) -> str | None:
    """Text as it is, anything else as JSON text; without what no UTF-8 column can hold."""
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()


def as_count(value: Any) -> int | None:
    """A count, if it is one."""
    is_count = type(value) in (int, float) and 0 <= value <= MAX_COUNT and value == int(value)
    return int(value) if is_count else None


def laid_over(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with the fields of `above`; objects are laid over each other field by field."""
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        if isinstance(value, dict) and isinstance(under, dict):
            value = laid_over(under, value)
        merged[name] = value
    return merged
