"""Attempts of every kind, as the asker would judge them."""

from __future__ import annotations

from penstock._core import Verdict
from penstock.engine.attempt import Attempt
from penstock.providers.provider import Answer, Refusal


def succeeded(output: str = "answer", *, alone: bool = False) -> Attempt:
    answer = Answer(output=output, finish_reason="stop", input_tokens=4, output_tokens=2)
    return Attempt(Verdict("succeeded", ""), 200, alone, answer=answer, body=b"{}")


def failed(
    error_class: str = "bad_response", status: int = 200, wait_seconds: float | None = None
) -> Attempt:
    """To be retried. Of status 200, 0 or >= 500: the last two speak against the endpoint."""
    refusal = Refusal(message=error_class, wait_seconds=wait_seconds)
    return Attempt(Verdict("retry", error_class), status, False, refusal=refusal)


def throttled(wait_seconds: float | None = None, *, alone: bool = False) -> Attempt:
    refusal = Refusal(message="slow down", wait_seconds=wait_seconds)
    return Attempt(Verdict("throttled", "rate_limit"), 429, alone, refusal=refusal)


def rejected(error_class: str = "invalid_request") -> Attempt:
    refusal = Refusal(message="no", code="bad")
    return Attempt(Verdict("rejected", error_class), 400, False, refusal=refusal, body=b"no")


def fatal(error_class: str = "auth") -> Attempt:
    return Attempt(Verdict("fatal", error_class), 401, False, refusal=Refusal(message="bad key"))
