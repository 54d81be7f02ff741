"""What one HTTP request came to."""

from __future__ import annotations

import msgspec

from penstock._core import Verdict
from penstock.providers.provider import Answer, Refusal


class Attempt(msgspec.Struct, gc=False):
    """An attempt that ended, and how it was judged."""

    verdict: Verdict
    status: int  # the HTTP status; 0 where there was none
    alone: bool  # nothing else of this worker was in flight when it was sent
    key_number: int = 0  # which of the worker's keys, from 0, it was sent with
    sent_ns: int = 0  # CLOCK_MONOTONIC; 0 where nothing was sent
    latency_seconds: float | None = None
    body: bytes | None = None
    request_id: str | None = None
    answer: Answer | None = None
    refusal: Refusal | None = None
    cost_pusd: int | None = None  # picodollars; None where it can't be told
