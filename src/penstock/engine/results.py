"""A record's result, however it ended; of one that was asked, from its last attempt. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from penstock._core import ResultMaker
from penstock.engine.attempt import Attempt
from penstock.engine.pending import Pending
from penstock.engine.rates import usd
from penstock.job import KeepResponse
from penstock.providers.provider import Answer, Refusal, Request
from penstock.record import BOUGHT, FAILED, SUCCEEDED, Record, Result

# With which settings the raw body stays with the result of a failure, and with that of a success.
KEPT: Final = (("failed", "always"), ("always",))
TOKENS: Final = (
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cache_write_tokens",
)


def with_tokens(answer: Answer, spent: Answer) -> Answer:
    """`answer`, with the tokens of another one on its own; None where neither says."""
    return msgspec.structs.replace(
        answer, **{name: total(getattr(answer, name), getattr(spent, name)) for name in TOKENS}
    )


def total(one: int | None, other: int | None) -> int | None:
    """The sum of two counts, each of which may be unknown."""
    return other if one is None else one if other is None else one + other


def result_maker(generation: int, keep: KeepResponse) -> ResultMaker[Result]:
    """What makes results of last attempts, for a worker."""
    structs = (Result, Pending, Record, Request, Attempt, Answer, Refusal)
    words, keeps = (SUCCEEDED, FAILED, BOUGHT), (keep in KEPT[False], keep in KEPT[True])
    return ResultMaker(*structs, with_tokens, usd, words, generation, keeps)


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
