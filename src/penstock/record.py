"""A record, and how it ended: the two structs that every room speaks of."""

from __future__ import annotations

from typing import Any

import msgspec

SUCCEEDED = "succeeded"
FAILED = "failed"
# Where a result is from.
BOUGHT = "bought"  # asked for by this run
REUSED = "reused"  # an earlier run's answer to the same request
DUPLICATE = "duplicate"  # another row's, of this run, whose request was the same


class BatchLine(msgspec.Struct, frozen=True, gc=False):
    """An OpenAI batch input line: a request that is written out already."""

    url: str
    body: bytes  # sent byte for byte


class Attachment(msgspec.Struct, frozen=True, gc=False):
    """An image or a file that goes with a record's prompt."""

    url: str  # http(s), for the provider to fetch, or `data:` with the content itself
    media_type: str = ""  # known where the content is at hand
    name: str = ""
    is_image: bool = True


class Attached(dict[str, Any]):
    """The columns of a record, and what goes with its prompt."""

    __slots__ = ("attachments",)

    attachments: tuple[Attachment, ...]


# Millions of these are made, and none can be part of a cycle: Python's collector need not see them.
class Record(msgspec.Struct, frozen=True, gc=False):
    """One input row. Exactly one of `fields`, `batch` and `problem` is set."""

    row: int  # from 0, over all inputs in order
    where: str  # file and line, for messages
    id: str | None = None
    fields: dict[str, Any] | None = None  # the columns
    batch: BatchLine | None = None
    problem: str | None = None  # why the row can't be read: a dead letter `invalid_input`


class Result(msgspec.Struct, gc=False):
    """How a record ended: one row of a segment, and of the output."""

    row: int
    id: str | None = None
    outcome: str = FAILED  # or SUCCEEDED
    output: str | None = None
    tool_calls: str | None = None  # a JSON list
    reasoning: str | None = None
    finish_reason: str | None = None
    truncated: bool = False  # the answer was cut where no more tokens were allowed
    model: str | None = None
    endpoint: str | None = None
    http_status: int | None = None
    request_id: str | None = None
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    attempts: int = 0
    latency_seconds: float | None = None  # of the last attempt, from send to the body's end
    elapsed_seconds: float | None = None  # from the record's first start to its end
    finished_at: int = 0  # microseconds since the Unix epoch
    error_class: str | None = None
    error_message: str | None = None
    request_hash: str | None = None
    source: str = BOUGHT
    generation: int = 0
    response: str | None = None  # the raw body, where it is kept
