"""How long a provider asks to wait, in whichever of the forms in use it says so.

Most exact first: `retry-after-ms`, `retry-after` (seconds, or a date), the error's own words
("try again in 1.2s") or field (Gemini's RetryInfo), last the reset time of a limit that is used up.
All are bounded to a day, and what can't be read is no wait: a header must never break a run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_WAIT_SECONDS: Final = 86_400.0

UNIT_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}

NUMBER: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{0,15})?\Z")
DURATION: Final = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{1,12})?(?:ms|s|m|h|d)){1,6}\Z")
DURATION_PART: Final = re.compile(r"([0-9.]+)(ms|s|m|h|d)")
# OpenAI: "Please try again in 6m0s."; Azure: "retry after 20 seconds"; Gemini: "retry in 3.2s".
SENTENCE: Final = re.compile(
    r"(?:try again|retry) (?:in|after) "
    r"(?:([0-9]{1,12}(?:\.[0-9]{1,12})?) ?(milliseconds?|seconds?|minutes?|hours?)\b"
    r"|((?:[0-9]{1,12}(?:\.[0-9]{1,12})?(?:ms|s|m|h|d)){1,6})(?![0-9A-Za-z]))",
    re.IGNORECASE,
)
WORD_UNITS: Final = {"milli": "ms", "secon": "s", "minut": "m", "hours": "h", "hour": "h"}


def wait_seconds(
    headers: Mapping[str, str], message: str = "", retry_delay: str = ""
) -> float | None:
    """What a response asks to wait, 0 to MAX_WAIT_SECONDS, or None where it does not say.

    `headers` ignores case, or is in lower case; `retry_delay` is a duration from the error's body.
    """
    for found in (
        from_milliseconds(headers.get("retry-after-ms", "")),
        from_retry_after(headers.get("retry-after", ""), headers.get("date", "")),
        from_duration(retry_delay),
        from_message(message),
        from_resets(headers),
    ):
        if found is not None:
            return found
    return None


def from_milliseconds(text: str) -> float | None:
    """`1500` as 1.5."""
    text = text.strip()  # float() strips less
    return bounded(float(text) / 1000) if NUMBER.match(text) else None


def from_retry_after(text: str, date: str) -> float | None:
    """Seconds, or an HTTP date (RFC 9110, 10.2.3) as seconds after the response's own `date`.

    Without `date` it is not read: this machine's clock may be off by more than the wait.
    """
    text = text.strip()
    if NUMBER.match(text):
        return bounded(float(text))
    try:
        return bounded((parsedate_to_datetime(text) - parsedate_to_datetime(date)).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return from_duration(text)


def from_duration(text: str) -> float | None:
    """`12ms`, `1s`, `6m0s`, `1.5h` as seconds."""
    text = text.strip()
    if not DURATION.match(text):
        return None
    parts = DURATION_PART.findall(text)
    return bounded(sum(float(number) * UNIT_SECONDS[unit] for number, unit in parts))


def from_message(message: str) -> float | None:
    """The wait that an error's words name."""
    found = SENTENCE.search(message)
    if not found:
        return None
    number, word, duration = found.groups()
    if duration:
        return from_duration(duration)
    return bounded(float(number) * UNIT_SECONDS[WORD_UNITS[word.lower()[:5]]])


def from_resets(headers: Mapping[str, str]) -> float | None:
    """The longest reset time of the limits that are used up.

    A reset time is when a bucket is full again, so that of a limit with something left says nothing
    of a wait. Azure sends 0 and -1 for both limit and remaining where it does not know.
    """
    waits = [
        from_duration(headers.get(f"x-ratelimit-reset-{resource}", ""))
        for resource in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{resource}") == "0"
        and headers.get(f"x-ratelimit-limit-{resource}") not in ("0", "-1")
    ]
    waits += [
        from_time(headers.get(f"anthropic-ratelimit-{limit}-reset", ""), headers.get("date", ""))
        for limit in ("requests", "tokens", "input-tokens", "output-tokens")
        if headers.get(f"anthropic-ratelimit-{limit}-remaining") == "0"
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def from_time(text: str, date: str) -> float | None:
    """A time of RFC 3339 as seconds after the response's own `date`."""
    try:
        reset, now = datetime.fromisoformat(text.strip()), parsedate_to_datetime(date)
        return bounded((reset - now).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def bounded(seconds: float) -> float | None:
    """`seconds` within 0 and MAX_WAIT_SECONDS; None for what is no number."""
    return min(max(seconds, 0.0), MAX_WAIT_SECONDS) if math.isfinite(seconds) else None
