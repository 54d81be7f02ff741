"""What a response's headers say of the provider's limits, in whichever dialect they say it.

    OpenAI, Groq, Azure, ...  x-ratelimit-{limit,remaining,reset}-{requests,tokens}
    Anthropic                 anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-
                              {limit,remaining,reset}
    Together                  x-ratelimit-limit, x-ratelimit-limit-tokens: per second

Gemini and DeepSeek send none. A reset is a duration (`6m0s`), a number of seconds, or a date by RFC
3339; it is when the limit is whole again, and so never later than its window: more than a minute
means that a limit of requests is the day's (Groq's is). Nobody names a day's tokens there, while
OpenAI's own reference shows `6m0s` beside 150,000 tokens a minute, and servers copy that: taken for
a day's, a run would crawl. So for tokens only what is beyond an hour counts as the day's. Azure
sends 0 and -1 where it does not know. What can't be read says nothing: a header must never break a
run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import msgspec

from penstock.providers.waits import from_duration

Counted = Literal["requests", "tokens", "input_tokens", "output_tokens"]

SECOND: Final = 1
MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400

MOST: Final = 10**12  # what is above it is no limit, whatever it says
LONGEST_RESET: Final = 31 * DAY  # a larger number is a time since 1970
LATE: Final = 5.0  # seconds by which a reset may be beyond its window: clocks and roundings

WHOLE: Final = re.compile(r"[0-9]{1,15}(?:\.0{1,15})?\Z")
NUMBER: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?\Z")
MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)

ANTHROPIC: Final[tuple[tuple[Counted, str], ...]] = (
    ("requests", "requests"),
    ("tokens", "tokens"),
    ("input_tokens", "input-tokens"),
    ("output_tokens", "output-tokens"),
)
OPENAI: Final[tuple[Counted, ...]] = ("requests", "tokens")


class RateLimit(msgspec.Struct, frozen=True):
    """A limit as a provider tells it: so many of what is `counted` in any window."""

    counted: Counted
    limit: int
    window_seconds: int
    used: int = 0  # of it, when the response was sent, by whomever


def rate_limits(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """The limits that a response names; `headers` ignores case, or is in lower case."""
    return tuple(_read(headers))


def _read(headers: Mapping[str, str]) -> Iterator[RateLimit]:
    for counted, name in ANTHROPIC:
        if found := _limit(headers, counted, f"anthropic-ratelimit-{name}-{{}}"):
            yield found
    by_second = _per_second(headers)
    if by_second is not None:
        yield by_second
    for counted in OPENAI:
        found = _limit(headers, counted, f"x-ratelimit-{{}}-{counted}")
        if found is None or (counted == "requests" and by_second is not None):
            continue
        if by_second is not None:
            found = msgspec.structs.replace(found, window_seconds=SECOND)
        yield found


def _limit(headers: Mapping[str, str], counted: Counted, name: str) -> RateLimit | None:
    """One limit, whose three headers have `name` with the part's in it."""
    limit = whole(headers.get(name.format("limit"), ""))
    if not limit or limit > MOST:
        return None
    remaining = whole(headers.get(name.format("remaining"), ""))
    used = 0 if remaining is None else max(0, limit - remaining)
    seconds = reset_seconds(headers.get(name.format("reset"), ""), headers.get("date", ""))
    of_minute = seconds <= (MINUTE if counted == "requests" else HOUR) + LATE
    return RateLimit(counted, limit, MINUTE if of_minute else DAY, used)


def _per_second(headers: Mapping[str, str]) -> RateLimit | None:
    """Together's limit of requests, which says no more than `limit`; others mean other windows."""
    limit = whole(headers.get("x-ratelimit-limit", ""))
    if not limit or limit > MOST:
        return None
    reset = headers.get("x-ratelimit-reset", "0")
    if not NUMBER.match(reset.strip()) or float(reset) > SECOND:
        return None
    remaining = whole(headers.get("x-ratelimit-remaining", ""))
    used = 0 if remaining is None else max(0, limit - remaining)
    return RateLimit("requests", limit, SECOND, used)


def whole(text: str) -> int | None:
    """A whole number of 0 or more; None for anything else, -1 too."""
    text = text.strip()
    return int(float(text)) if WHOLE.match(text) else None


def reset_seconds(text: str, date: str) -> float:
    """How long until a limit is whole again; 0 where that is not said.

    A date counts from the response's own `date`: this machine's clock may be off.
    """
    text = text.strip()
    if NUMBER.match(text):
        seconds = float(text)
        return seconds if seconds <= LONGEST_RESET else 0.0
    if not MOMENT.match(text):
        return from_duration(text) or 0.0
    try:
        whole_again = datetime.fromisoformat(text.upper())
        return max(0.0, (whole_again - parsedate_to_datetime(date)).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0
