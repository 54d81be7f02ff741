"""Keeps secrets out of what is written: servers echo keys, and error bodies end up in logs.

A key is found as it is, as it looks inside JSON (escaped once, or twice where a body that is JSON
is quoted in JSON), a URL or HTML, in the other case, and within anything that is in base64.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from penstock._core import Needles

MASK = "***"
BACKSLASH = ord("\\")

# Local servers are given keys such as "x": masking those would mask the text itself.
LEAST_CHARACTERS = 4
# In disguise a short word is like others: its base64 has less than half of it for certain.
LEAST_DISGUISED = 16

# What JSON lets one write for a character of ASCII but a quote or a backslash; .NET does for "+".
ESCAPED = re.compile(rb"\\+u00(?!22|5[cC])([2-7][0-9a-fA-F])")


class Redactor:
    """Replaces known secrets by `***`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._known: set[str] = set()
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Replace these too, from now on."""
        self._known |= {one.strip() for one in secrets}
        forms = {
            form
            for secret in self._known
            if len(secret) >= LEAST_CHARACTERS
            for form in appearances(secret)
        }
        # The longest first, so that a form that contains another is replaced whole.
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        self._bytes = [form.encode(errors="surrogatepass") for form in self._forms]
        self._needles = Needles(self._bytes)
        self._pattern = re.compile("|".join(map(re.escape, self._forms)) or r"(?!)")
        self._bytes_pattern = re.compile(b"|".join(map(re.escape, self._bytes)) or rb"(?!)")

    def text(self, text: str) -> str:
        """`text` without any secret."""
        if text.isascii() and not self._needles.within(text.encode()):
            return text
        # Again while there is one: what is left and right of a mask may be one together with it.
        while any(form in text for form in self._forms):
            text = self._pattern.sub(MASK, text)
        return text

    def body(self, body: bytes) -> bytes:
        """`body` without any secret."""
        # One byte is found much faster than three; as a number, for Python asks of bytes first
        # whether they are one, and words the error that they are not.
        if BACKSLASH in body and b"u00" in body:
            plain = ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), body)
            if self._needles.within(plain):
                body = plain
        while self._needles.within(body):
            body = self._bytes_pattern.sub(MASK.encode(), body)
        return body

    def response(self, body: bytes, headers: Mapping[str, str]) -> tuple[bytes, Mapping[str, str]]:
        """A response without any secret: as it is, where that is plain at one look."""
        head: bytes | None = getattr(headers, "head", None)  # as those of `_wire` came
        if head is not None and self._needles.plainly_absent(body, head):
            return body, headers
        return self.body(body), RedactedHeaders(headers, self)

    def value(self, value: Any) -> Any:
        """Every string inside dicts and lists without any secret; other values as they are."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.value(key): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value


class RedactedHeaders(Mapping[str, str]):
    """A response's headers without any secret, looked for in those that are looked at."""

    __slots__ = ("_headers", "_redactor")

    def __init__(self, headers: Mapping[str, str], redactor: Redactor) -> None:
        self._headers = headers
        self._redactor = redactor

    def __getitem__(self, name: str) -> str:
        return self._redactor.text(self._headers[name])

    def get(self, name: str, default: Any = None) -> Any:
        found = self._headers.get(name)
        return default if found is None else self._redactor.text(found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)


def appearances(secret: str) -> Iterator[str]:
    """The forms that a secret takes in what may be logged."""
    written = set(in_writing(secret))
    yield from written
    if len(secret) >= LEAST_DISGUISED:
        for form in written:
            yield form.upper()
            yield form.lower()
        yield from in_base64(secret.encode(errors="surrogatepass"))


def in_writing(secret: str) -> Iterator[str]:
    """As it is, and as JSON, URLs and HTML write it."""
    yield secret
    for ascii_only in (True, False):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield once
        yield once.replace("/", "\\/")  # as PHP writes it
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]
    yield from in_url(secret)
    yield html.escape(secret)


def in_url(secret: str) -> Iterator[str]:
    """Percent-encoded, with either case of digits."""
    encoded = quote(secret, safe="", errors="surrogatepass")
    yield encoded
    yield re.sub("%..", lambda found: found[0].lower(), encoded)


def in_base64(secret: bytes) -> Iterator[str]:
    """What of a secret's base64 does not depend on what stands around it, wherever it begins."""
    for before in range(3):
        # The characters whose six bits are all the secret's.
        first, last = -(-8 * before // 6), 8 * (before + len(secret)) // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + secret).decode()[first:last]
