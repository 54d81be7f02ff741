"""How each provider words its errors and heads its answers: the same refusals in four shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil
from typing import Any, Protocol

import msgspec

from penstock.simulator.limits import (
    SECOND_NS,
    Limits,
    SlidingWindow,
    wait_headers,
)
from penstock.simulator.refusals import MODEL_NOT_FOUND, Refusal
from penstock.simulator.script import Answer


class Voice(Protocol):
    """One provider's way to speak."""

    def key(self, headers: dict[str, str]) -> str:
        """The key that a request brings."""

    def error(self, refusal: Refusal) -> tuple[int, str, Any]:
        """A refusal's status, header lines and body."""

    def headers(self, request_id: str, limits: Limits, now_ns: int, wall_seconds: float) -> str:
        """The header lines of every answer; `wall_seconds` is the clock's time at `now_ns`."""


def refusal_answer(
    refusal: Refusal, voice: Voice, headers: str = "", delay_seconds: float = 0.0
) -> Answer:
    """The refusal as an answer, with `headers` besides its own."""
    status, lines, body = voice.error(refusal)
    return Answer(status, headers + lines, ((delay_seconds, msgspec.json.encode(body)),))


def bearer(headers: dict[str, str]) -> str:
    return headers.get("authorization", "").removeprefix("Bearer ").strip()


class OpenAIVoice:
    """`{"error": {message, type, param, code}}`, and x-ratelimit headers."""

    def key(self, headers: dict[str, str]) -> str:
        return bearer(headers)

    def error(self, refusal: Refusal) -> tuple[int, str, Any]:
        error = {
            "message": refusal.message,
            "type": refusal.type,
            "param": refusal.param,
            "code": refusal.code,
        }
        wait = wait_headers(refusal.wait_ns) if refusal.wait_ns else ""
        return refusal.status, refusal.headers + wait, {"error": error}

    def headers(self, request_id: str, limits: Limits, now_ns: int, wall_seconds: float) -> str:
        return f"x-request-id: req_{request_id}\r\n{limits.headers(now_ns)}"


class AzureVoice(OpenAIVoice):
    """OpenAI's shape with other codes; a wait is in the words too."""

    def key(self, headers: dict[str, str]) -> str:
        return headers.get("api-key") or bearer(headers)

    def error(self, refusal: Refusal) -> tuple[int, str, Any]:
        if refusal.code == MODEL_NOT_FOUND:
            refusal = refusal._replace(code="DeploymentNotFound")
        elif refusal.code == "invalid_prompt":
            refusal = refusal._replace(code="content_filter", param="prompt")
        elif refusal.status == 401:
            refusal = refusal._replace(code="401")
        elif refusal.code == "rate_limit_exceeded":
            seconds = ceil(refusal.wait_ns / SECOND_NS)
            words = f"{refusal.message}. Please retry after {seconds} seconds."
            refusal = refusal._replace(code="429", message=words)
        return super().error(refusal)


ANTHROPIC_TYPES = {
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
}


class AnthropicVoice:
    """`{"type": "error", "error": {type, message}}`, and anthropic-ratelimit headers."""

    def key(self, headers: dict[str, str]) -> str:
        return headers.get("x-api-key") or bearer(headers)

    def error(self, refusal: Refusal) -> tuple[int, str, Any]:
        kind = ANTHROPIC_TYPES.get(refusal.status, "invalid_request_error")
        if refusal.code == MODEL_NOT_FOUND:
            refusal = refusal._replace(message=f"model: {refusal.subject}")
        error: dict[str, Any] = {"type": kind, "message": refusal.message}
        if refusal.code == "insufficient_quota":
            error["details"] = {"error_code": "enforced_spend_limit_reached"}
        wait = f"retry-after: {ceil(refusal.wait_ns / SECOND_NS)}\r\n" if refusal.wait_ns else ""
        return refusal.status, refusal.headers + wait, {"type": "error", "error": error}

    def headers(self, request_id: str, limits: Limits, now_ns: int, wall_seconds: float) -> str:
        shown = [
            anthropic_limit(kind, window, now_ns, wall_seconds) for kind, window in limits.shown()
        ]
        return f"request-id: req_{request_id}\r\n{''.join(shown)}"


def anthropic_limit(kind: str, window: SlidingWindow, now_ns: int, wall_seconds: float) -> str:
    """The three header lines of one limit; what is left of tokens is told in thousands."""
    remaining = window.remaining(now_ns)
    if kind == "tokens":
        remaining = remaining // 1000 * 1000
    reset = datetime.fromtimestamp(ceil(wall_seconds + window.reset_ns(now_ns) / SECOND_NS), UTC)
    return (
        f"anthropic-ratelimit-{kind}-limit: {window.limit}\r\n"
        f"anthropic-ratelimit-{kind}-remaining: {remaining}\r\n"
        f"anthropic-ratelimit-{kind}-reset: {reset:%Y-%m-%dT%H:%M:%SZ}\r\n"
    )


GEMINI_STATUSES = {
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
}
RPC = "type.googleapis.com/google.rpc"


class GeminiVoice:
    """`{"error": {code, message, status, details}}`; no headers, so waits are in the details."""

    def key(self, headers: dict[str, str]) -> str:
        return headers.get("x-goog-api-key") or bearer(headers)

    def error(self, refusal: Refusal) -> tuple[int, str, Any]:
        status = 400 if refusal.code == "invalid_api_key" else refusal.status
        if refusal.code == MODEL_NOT_FOUND:
            words = f"models/{refusal.subject} is not found for API version v1beta"
            refusal = refusal._replace(message=words)
        error: dict[str, Any] = {
            "code": status,
            "message": refusal.message,
            "status": GEMINI_STATUSES.get(status, "INVALID_ARGUMENT"),
        }
        details = details_of(refusal)
        if details:
            error["details"] = details
        return status, refusal.headers, {"error": error}

    def headers(self, request_id: str, limits: Limits, now_ns: int, wall_seconds: float) -> str:
        return ""


def details_of(refusal: Refusal) -> list[dict[str, Any]]:
    """What only the details of one of Google's errors say."""
    if refusal.code == "invalid_api_key":
        reason = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
        return [{"@type": f"{RPC}.ErrorInfo", **reason}]
    if refusal.status != 429:
        return []
    span = "Day" if refusal.code == "insufficient_quota" else "Minute"
    violation = {"quotaId": f"GenerateRequestsPer{span}PerProjectPerModel"}
    details: list[dict[str, Any]] = [{"@type": f"{RPC}.QuotaFailure", "violations": [violation]}]
    if refusal.wait_ns:
        delay = f"{refusal.wait_ns / SECOND_NS:.3f}s"
        details.append({"@type": f"{RPC}.RetryInfo", "retryDelay": delay})
    return details


OPENAI = OpenAIVoice()
AZURE = AzureVoice()
ANTHROPIC = AnthropicVoice()
GEMINI = GeminiVoice()
