"""From a record's last attempt to its result or dead letter: pure, but for the clock's reading."""

from __future__ import annotations

from typing import Final

import msgspec

from penstock.engine.attempt import Attempt
from penstock.engine.pending import Pending
from penstock.engine.rates import usd
from penstock.job import KeepResponse
from penstock.providers.provider import Answer
from penstock.record import BOUGHT, FAILED, SUCCEEDED, Record, Result

NO_ANSWER: Final = Answer()
# With which settings the raw body stays with the result of a failure, and with that of a success.
KEPT: Final = (("failed", "always"), ("always",))
TOKENS: Final = (
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cache_write_tokens",
)


def result_of(
    pending: Pending,
    attempt: Attempt,
    error_class: str,
    endpoint: str,
    generation: int,
    now_ns: int,
    finished_at: int,
    keep: KeepResponse,
) -> Result:
    """How a record ended; `error_class` is empty where it succeeded, `finished_at` in µs."""
    found, request = attempt.answer, pending.request
    answer = NO_ANSWER if found is None else found
    if pending.spent is not None:
        answer = with_tokens(answer, pending.spent)
    succeeded = found is not None and not error_class
    message = attempt.refusal.message if attempt.refusal and not succeeded else None
    response = None
    if attempt.body and keep in KEPT[succeeded]:
        response = attempt.body.decode("utf-8", "replace")
    # By position, a seventh of what as many names take: the fields of Result, in their order.
    return Result(
        pending.record.row,
        pending.record.id,
        SUCCEEDED if succeeded else FAILED,
        answer.output,
        answer.tool_calls,
        answer.reasoning,
        answer.finish_reason,
        answer.truncated,
        answer.model,
        endpoint,
        attempt.status or None,
        attempt.request_id,
        answer.input_tokens,
        answer.cached_input_tokens,
        answer.output_tokens,
        answer.reasoning_tokens,
        None if pending.cost_pusd is None else usd(pending.cost_pusd),
        pending.attempts,
        attempt.latency_seconds,
        (now_ns - pending.first_ns) / 1e9,
        finished_at,
        None if succeeded else error_class,
        message,
        request.request_hash if request else None,
        BOUGHT,
        generation,
        response,
    )


def with_tokens(answer: Answer, spent: Answer) -> Answer:
    """`answer`, with the tokens of another one on its own; None where neither says."""
    return msgspec.structs.replace(
        answer, **{name: total(getattr(answer, name), getattr(spent, name)) for name in TOKENS}
    )


def total(one: int | None, other: int | None) -> int | None:
    """The sum of two counts, each of which may be unknown."""
    return other if one is None else one if other is None else one + other


def taken(
    record: Record,
    found: Result,
    source: str,
    *,
    generation: int,
    finished_at: int,
    keep: KeepResponse,
) -> Result:
    """A result that is known, as this record's own: nothing was asked for it, and nothing paid."""
    kept = keep in KEPT[found.outcome == SUCCEEDED]
    return msgspec.structs.replace(
        found,
        row=record.row,
        id=record.id,
        source=source,
        generation=generation,
        finished_at=finished_at,
        attempts=0,
        input_tokens=None,
        cached_input_tokens=None,
        output_tokens=None,
        reasoning_tokens=None,
        cost_usd=None if found.cost_usd is None else 0.0,  # unknown stays unknown
        latency_seconds=None,
        elapsed_seconds=0.0,
        response=found.response if kept else None,
    )


def dead_letter(
    record: Record, error_class: str, message: str, *, generation: int, finished_at: int
) -> Result:
    """The end of a record that no request was made for."""
    return Result(
        row=record.row,
        id=record.id,
        outcome=FAILED,
        error_class=error_class,
        error_message=message,
        generation=generation,
        finished_at=finished_at,
    )
