"""Error bodies, in all the shapes that OpenAI, its compatibles and the proxies before them send.

`{"error": {...}}` (OpenAI, Azure, Anthropic, new vLLM), `[{"error": {...}}]` (Gemini),
`{"error": "..."}` (Ollama), `{"object": "error", ...}` (old vLLM), and HTML or nothing from
whatever stands between.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from penstock.providers.mending import parsed
from penstock.providers.provider import Refusal
from penstock.providers.spoken import spoken_code
from penstock.providers.verdicts import DAILY_QUOTA, UNREADABLE
from penstock.providers.waits import wait_seconds

MESSAGE_CHARACTERS: Final = 500
KEY_CHARACTERS: Final = 100
HEAD_BYTES: Final = 16 * 1024  # of an unreadable body, to look for a title in

# Where errors have their words, that of most first; and how far they are looked for.
WORDS: Final = ("message", "detail", "msg", "error", "errors", "title")
MOST_DEEP: Final = 4
MOST_LISTED: Final = 5

PER_DAY: Final = "PerDay"  # in the id of a Google quota

TITLE: Final = re.compile(r"<title[^>]{0,200}>([^<]{1,300})</title", re.IGNORECASE)


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """What a response that is no success says; never raises."""
    value = parsed(body)
    error = error_object(value)
    if error is None:
        message = one_line(words_in(value)) or unreadable_message(status, body)
        return Refusal(None, UNREADABLE, message, wait_seconds(headers, message))
    refusal = refusal_of(error, headers, f"HTTP {status}")
    refusal.code = spoken_code(status, refusal.message) or refusal.code
    return refusal


def refusal_of(error: Mapping[str, Any], headers: Mapping[str, str], otherwise: str) -> Refusal:
    """An error object as a refusal; `otherwise` is its message where it has none."""
    details = error.get("details")
    message = one_line(words_in(error)) or one_line(otherwise)
    return Refusal(
        key(detailed(details)) or key(error.get("code")),
        key(error.get("type")) or key(error.get("status")),
        message,
        wait_seconds(headers, message, retry_delay(details)),
    )


def error_object(value: Any) -> dict[str, Any] | None:
    """The error inside a decoded body, or None where there is none that the API would send."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    if isinstance(error, dict):
        return error
    if isinstance(error, str) and error:
        return {**value, "message": value.get("message") or error}
    return value if value.get("object") == "error" else None


def words_in(value: Any, depth: int = 0) -> str:
    """What a decoded error says, of whichever framework; empty where it says nothing.

    Such as FastAPI's `{"detail": "Not Found"}`, and its `{"detail": [{"loc": ["body", "messages"],
    "msg": "Field required"}]}`.
    """
    if isinstance(value, str):
        return value
    if depth == MOST_DEEP:
        return ""
    if isinstance(value, list):
        listed = (words_in(one, depth + 1) for one in value[:MOST_LISTED])
        return "; ".join(words for words in listed if words)
    if not isinstance(value, dict):
        return ""
    found = (words_in(value.get(name), depth + 1) for name in WORDS)
    words = next((one for one in found if one), "")
    place = value.get("loc")
    return f"{'.'.join(map(str, place))}: {words}" if words and isinstance(place, list) else words


def detailed(details: Any) -> Any:
    """The code in an error's details, which is more exact than the one beside its message.

    Anthropic: `{"error_code": ...}`; Google: google.rpc.ErrorInfo's reason. A daily quota of
    Google's shows in the ids of google.rpc.QuotaFailure alone, whatever the wait that is named.
    """
    if isinstance(details, dict):
        return details.get("error_code")
    listed = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    for one in listed:
        violations = one.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict) and PER_DAY in str(violation.get("quotaId")):
                return DAILY_QUOTA
    return next((one["reason"] for one in listed if "reason" in one), None)


def retry_delay(details: Any) -> str:
    """The wait in Gemini's google.rpc.RetryInfo, such as `36s`; empty where there is none."""
    for one in details if isinstance(details, list) else ():
        delay = one.get("retryDelay") if isinstance(one, dict) else None
        if isinstance(delay, str):
            return delay
    return ""


def key(value: Any) -> str | None:
    """A code or type as a key of the verdict table: vLLM and Gemini send integers."""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        return None
    return one_line(str(value), KEY_CHARACTERS)


def unreadable_message(status: int, body: bytes) -> str:
    """What is worth telling of a body that is no error object."""
    text = body[:HEAD_BYTES].decode("utf-8", "replace")
    title = TITLE.search(text)
    words = one_line(title.group(1) if title else text)
    return one_line(f"HTTP {status}: {words}" if words else f"HTTP {status} with an empty body")


def one_line(text: str, most: int = MESSAGE_CHARACTERS) -> str:
    """`text` fit for a log line and a UTF-8 column: no control characters, bounded."""
    if len(text) <= most and text.isascii() and text.isprintable() and " " not in text:
        return text
    text = text[: 4 * most].encode("utf-8", "replace").decode()
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
