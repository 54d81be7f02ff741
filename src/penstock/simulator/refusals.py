"""The errors that the simulated provider answers with, in OpenAI's types and codes."""

from __future__ import annotations

from typing import Final, NamedTuple

from penstock.simulator.limits import Throttle

MODEL_NOT_FOUND: Final = "model_not_found"


class Refusal(NamedTuple):
    """An error answer, before a provider's voice words it; `headers` are whole header lines."""

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    headers: str = ""
    wait_ns: int = 0  # until the request would pass; 0 where that is not said
    subject: str = ""  # what a provider's own words name


def unknown_path(method: str, path: str) -> Refusal:
    return Refusal(404, f"Invalid URL ({method} {path})")


def wrong_method(method: str, path: str) -> Refusal:
    return Refusal(405, f"{method} is not allowed for {path}")


def missing_key() -> Refusal:
    return Refusal(401, "No API key was given")


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
        code=MODEL_NOT_FOUND,
        subject=model,
    )


def prompt_too_long(limit: int, asked: int) -> Refusal:
    return Refusal(
        400,
        f"The context length of this model is {limit} tokens, but the prompt has {asked}",
        code="context_length_exceeded",
        param="messages",
    )


def too_many_texts(most: int) -> Refusal:
    return Refusal(400, f"At most {most} texts can be in one request", param="input")


def too_many_tokens(most: int) -> Refusal:
    what = f"Requested too many tokens: the maximum is {most} tokens per request"
    return Refusal(400, what, code="max_tokens_per_request", param="input")


def empty_text() -> Refusal:
    return Refusal(400, "An input is an empty text, which is not valid", param="input")


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
    """A real limit: the words name it, and it is said when the request would pass."""
    what = (
        f"Rate limit reached for {model} on {throttle.name.upper()}: Limit {throttle.limit}, "
        f"Used {throttle.used}, Requested {throttle.asked}"
    )
    return Refusal(429, what, throttle.kind, "rate_limit_exceeded", wait_ns=throttle.wait_ns)


def throttled_at_random(wait_seconds: float) -> Refusal:
    """A 429 that no limit explains; without a wait, as some providers send it, for 0."""
    what, wait_ns = "Rate limit reached for requests", round(wait_seconds * 1e9)
    return Refusal(429, what, "requests", "rate_limit_exceeded", wait_ns=wait_ns)


def no_version() -> Refusal:
    """What Anthropic says to a request without its version."""
    return Refusal(400, "anthropic-version: header is required")
