"""A request as text, for people: what `penstock render` shows instead of sending it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from penstock.providers.provider import Request

SECRET_HEADER: Final = re.compile("auth|key|token|secret|password|cookie", re.IGNORECASE)
REDACTED: Final = "<redacted>"


def describe(request: Request, base_url: str, headers: Mapping[str, str]) -> str:
    """The exact request: method and URL, headers without their secrets, and the body as sent."""
    lines = [f"POST {base_url.rstrip('/')}{request.path}"]
    lines += [f"{name}: {shown(name, value)}" for name, value in headers.items()]
    return "\n".join([*lines, "", request.body.decode("utf-8", "replace")])


def shown(name: str, value: str) -> str:
    """A header's value, without what may be a secret; `Bearer` and its like are none."""
    if not SECRET_HEADER.search(name):
        return value
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {REDACTED}" if space and name.lower() == "authorization" else REDACTED
