"""A request as text, for people: whole, as `penstock render` shows it, or its words alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from penstock.addresses import url_of
from penstock.providers.provider import Request

SECRET_HEADER: Final = re.compile("auth|key|token|secret|password|cookie", re.IGNORECASE)
REDACTED: Final = "<redacted>"


def describe(request: Request, base_url: str, headers: Mapping[str, str]) -> str:
    """The exact request: method and URL, headers without their secrets, and the body as sent."""
    lines = [f"POST {url_of(base_url, request.path)}"]
    lines += [f"{name}: {shown(name, value)}" for name, value in headers.items()]
    return "\n".join([*lines, "", request.body.decode("utf-8", "replace")])


def shown(name: str, value: str) -> str:
    """A header's value, without what may be a secret; `Bearer` and its like are none."""
    if not SECRET_HEADER.search(name):
        return value
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {REDACTED}" if space and name.lower() == "authorization" else REDACTED


# Where the words of a request stand, in the order in which they are said, in every dialect; each
# holds text, or a list or an object of more of the same.
SPOKEN: Final = (
    *("system", "system_instruction", "systemInstruction", "instructions"),
    *("messages", "contents", "input", "requests", "prompt", "content", "parts", "text"),
)


def asked(body: bytes) -> str:
    """What a request asks, as people would say it: its texts without what is around them.

    The body as it is, where no text is found in it.
    """
    try:
        found = list(texts(msgspec.json.decode(body)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = []
    return "\n\n".join(found) or body.decode("utf-8", "replace")


def texts(value: Any) -> Iterator[str]:
    """The texts in a part of a request's body."""
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
    elif isinstance(value, dict):
        for name in SPOKEN:
            yield from texts(value.get(name))
