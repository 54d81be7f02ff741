"""JSON that is complete, though odd: made fit for a strict, typed decoder.

Servers send lone surrogates (a cut emoji), NaN, raw control characters and usage counts that are no
counts. The answer around them was paid for, so they are repaired and dropped, never the answer.
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
    if isinstance(kept.get("choices"), list):
        kept["choices"] = [with_text_reason(one) for one in kept["choices"]]
    try:
        text = json.dumps(kept, ensure_ascii=False)
    except RecursionError:
        return None
    return LONE_SURROGATE.sub("\ufffd", text).encode()


def with_text_reason(choice: Any) -> Any:
    """A choice whose finish reason is text, or null."""
    if not isinstance(choice, dict) or isinstance(choice.get("finish_reason"), str):
        return choice
    return {**choice, "finish_reason": None}


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
