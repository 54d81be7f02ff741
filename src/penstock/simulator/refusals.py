"""The errors that the simulated provider answers with, in OpenAI's shape, types and codes."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from penstock.simulator.limits import Throttle, wait_headers
from penstock.simulator.script import Answer


class Refusal(NamedTuple):
    """An error answer; `headers` are whole header lines."""

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    headers: str = ""


def refusal_body(refusal: Refusal) -> bytes:
    """`{"error": {message, type, param, code}}`."""
    error = {
        "message": refusal.message,
        "type": refusal.type,
        "param": refusal.param,
        "code": refusal.code,
    }
    return msgspec.json.encode({"error": error})


def refusal_answer(refusal: Refusal, headers: str, delay_seconds: float = 0.0) -> Answer:
    """The refusal as an answer, with `headers` besides its own."""
    pieces = ((delay_seconds, refusal_body(refusal)),)
    return Answer(refusal.status, headers + refusal.headers, pieces)


def unknown_path(method: str, path: str) -> Refusal:
    return Refusal(404, f"Invalid URL ({method} {path})")


def wrong_method(method: str, path: str) -> Refusal:
    return Refusal(405, f"{method} is not allowed for {path}")


def missing_key() -> Refusal:
    return Refusal(401, "No API key was given: send it as Authorization: Bearer KEY")


def wrong_key(key: str) -> Refusal:
    """Echoes the key in body and headers, as careless servers and proxies do."""
    return Refusal(
        401,
        f"Incorrect API key provided: {key}",
        code="invalid_api_key",
        headers=f"x-echoed-authorization: Bearer {key}\r\nwww-authenticate: Bearer key={key}\r\n",
    )


def quota_gone() -> Refusal:
    return Refusal(
        429,
        "You have used up your quota: check your plan and billing details",
        type="insufficient_quota",
        code="insufficient_quota",
    )


def unknown_model(model: str) -> Refusal:
    return Refusal(
        404,
        f"The model `{model}` does not exist or you do not have access to it",
        code="model_not_found",
    )


def prompt_too_long(limit: int, asked: int) -> Refusal:
    return Refusal(
        400,
        f"The context length of this model is {limit} tokens, but the prompt has {asked}",
        code="context_length_exceeded",
        param="messages",
    )


def record_rejected() -> Refusal:
    return Refusal(
        400,
        "The prompt was refused: this record is refused every time",
        code="invalid_prompt",
        param="messages",
    )


def server_error() -> Refusal:
    return Refusal(500, "The server had an error, please retry", type="server_error")


def throttled(throttle: Throttle, model: str) -> Refusal:
    """A real limit: the words name it, the headers say when the request would pass."""
    what = (
        f"Rate limit reached for {model} on {throttle.name.upper()}: Limit {throttle.limit}, "
        f"Used {throttle.used}, Requested {throttle.asked}"
    )
    headers = wait_headers(throttle.wait_ns)
    return Refusal(429, what, throttle.kind, "rate_limit_exceeded", headers=headers)


def throttled_at_random(wait_seconds: float) -> Refusal:
    """A 429 that no limit explains; without a wait, as some providers send it, for 0."""
    headers = wait_headers(round(wait_seconds * 1e9)) if wait_seconds else ""
    return Refusal(
        429, "Rate limit reached for requests", "requests", "rate_limit_exceeded", headers=headers
    )
