"""Keeps secrets out of what is written: servers echo keys, and error bodies end up in logs.

A key is found as it is, as it looks inside JSON (escaped once, or twice where a body that is JSON
is quoted in JSON), and as it looks inside a URL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

MASK = "***"

# Local servers are given keys such as "x": masking those would mask the text itself.
LEAST_CHARACTERS = 4


class Redactor:
    """Replaces known secrets by `***`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {one.strip() for one in secrets}
        forms = {
            form
            for secret in known
            if len(secret) >= LEAST_CHARACTERS
            for form in appearances(secret)
        }
        # The longest first, so that a form that contains another is replaced whole.
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        self._bytes = [form.encode(errors="surrogatepass") for form in self._forms]
        self._pattern = re.compile("|".join(map(re.escape, self._forms)) or r"(?!)")
        self._bytes_pattern = re.compile(b"|".join(map(re.escape, self._bytes)) or rb"(?!)")

    def text(self, text: str) -> str:
        """`text` without any secret."""
        # Again while there is one: what is left and right of a mask may be one together with it.
        while any(form in text for form in self._forms):
            text = self._pattern.sub(MASK, text)
        return text

    def body(self, body: bytes) -> bytes:
        """`body` without any secret."""
        while any(form in body for form in self._bytes):
            body = self._bytes_pattern.sub(MASK.encode(), body)
        return body

    def value(self, value: Any) -> Any:
        """Every string inside dicts and lists without any secret; other values as they are."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.value(key): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value


def appearances(secret: str) -> Iterator[str]:
    """The forms that a secret takes in what may be logged."""
    yield secret
    for ascii_only in (True, False):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield once
        yield once.replace("/", "\\/")  # as PHP writes it
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]
    yield quote(secret, safe="", errors="surrogatepass")
