"""From a record's last attempt to its result or dead letter: pure, but for the clock's reading."""

from __future__ import annotations

from penstock.engine.attempt import Attempt
from penstock.engine.pending import Pending
from penstock.job import KeepResponse
from penstock.record import FAILED, SUCCEEDED, Record, Result


def result_of(
    pending: Pending,
    attempt: Attempt,
    *,
    error_class: str,
    endpoint: str,
    generation: int,
    now_ns: int,
    finished_at: int,
    keep: KeepResponse,
) -> Result:
    """How a record ended; `error_class` is empty where it succeeded, `finished_at` in µs."""
    succeeded = attempt.answer is not None and not error_class
    result = Result(
        row=pending.record.row,
        id=pending.record.id,
        outcome=SUCCEEDED if succeeded else FAILED,
        endpoint=endpoint,
        http_status=attempt.status or None,
        request_id=attempt.request_id,
        attempts=pending.attempts,
        latency_seconds=attempt.latency_seconds,
        elapsed_seconds=(now_ns - pending.first_ns) / 1e9,
        finished_at=finished_at,
        request_hash=pending.request.request_hash if pending.request else None,
        generation=generation,
    )
    if attempt.answer is not None:
        answer = attempt.answer
        result.output = answer.output
        result.finish_reason = answer.finish_reason
        result.model = answer.model
        result.input_tokens = answer.input_tokens
        result.cached_input_tokens = answer.cached_input_tokens
        result.output_tokens = answer.output_tokens
        result.reasoning_tokens = answer.reasoning_tokens
    if not succeeded:
        result.error_class = error_class
        result.error_message = attempt.refusal.message if attempt.refusal else None
    if attempt.body and keeps(keep, succeeded):
        result.response = attempt.body.decode("utf-8", "replace")
    return result


def keeps(keep: KeepResponse, succeeded: bool) -> bool:
    """Whether the raw body stays with the result."""
    return keep == "always" or (keep == "failed" and not succeeded)


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
