"""JSON that is complete, though odd: made fit for a strict, typed decoder.

Servers send lone surrogates (a cut emoji), NaN, raw control characters and usage counts that are no
counts, and gateways send contents in another API's shape. The answer was paid for, so what is odd
in it is repaired or dropped, never the answer.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

# The largest count that fits a 64-bit column and a JSON number; no real one is near it.
MAX_COUNT: Final = 2**53

# NaN and infinities, which JSON has not, are read as null.
DECODER: Final = json.JSONDecoder(strict=False, parse_constant=lambda _: None)

LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def parsed(body: bytes) -> Any:
    """The JSON of a body, or None; takes more than msgspec does."""
    try:
        return DECODER.decode(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None


def mended(body: bytes, usage: str = "usage", model: str = "model") -> bytes | None:
    """A response's body as strict JSON, without what is odd beside the answer; None if hopeless.

    `usage` and `model` are the names that these have in it.
    """
    value = parsed(body)
    if not isinstance(value, dict):
        return None
    kept = {**value, usage: counts(value.get(usage))}
    if not isinstance(kept.get(model), str):
        kept[model] = None
    try:
        if isinstance(kept.get("choices"), list):
            kept["choices"] = [plain_choice(one) for one in kept["choices"]]
        text = json.dumps(kept, ensure_ascii=False)
    except RecursionError:
        return None
    return LONE_SURROGATE.sub("\ufffd", text).encode()


def plain_choice(choice: Any) -> Any:
    """A choice whose finish reason is text or null, and whose message is as OpenAI has it."""
    if not isinstance(choice, dict):
        return choice
    reason, message = choice.get("finish_reason"), choice.get("message")
    plain = {**choice, "finish_reason": reason if isinstance(reason, str) else None}
    return plain | {"message": plain_message(message)} if isinstance(message, dict) else plain


def plain_message(message: dict[str, Any]) -> dict[str, Any]:
    """A message with the words that it has, in whichever shape: gateways join those of others."""
    calls, refusal = message.get("tool_calls"), message.get("refusal")
    return {
        **message,
        "content": plain_content(message.get("content")),
        "tool_calls": [calls] if isinstance(calls, dict) else calls,
        "refusal": refusal if isinstance(refusal, str) else None,
    }


def plain_content(content: Any) -> Any:
    """Text, or parts that have some; an object that was parsed already is JSON text again."""
    if isinstance(content, dict):
        return json.dumps(content, ensure_ascii=False)
    if not isinstance(content, list):
        return content
    parts = [{"text": part} if isinstance(part, str) else part for part in content]
    objects = [part for part in parts if isinstance(part, dict)]
    return [one if isinstance(one.get("text"), str) else {**one, "text": ""} for one in objects]


def counts(usage: Any) -> dict[str, Any]:
    """The counts of a decoded usage that are counts, and those of its details."""
    if not isinstance(usage, dict):
        return {}
    found: dict[str, Any] = {}
    for name, one in usage.items():
        if name.endswith("_details"):
            found[name] = counts(one)
        elif type(one) in (int, float) and 0 <= one <= MAX_COUNT and one == int(one):
            found[name] = int(one)
    return found
