"""How the body of a 200 is read: the same for all dialects, but for what is in it.

A complete answer was paid for and is never asked again, so JSON that only a strict decoder refuses
is mended; a cut body stays a cut body.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from penstock.providers.mending import mended, parsed
from penstock.providers.provider import Answer, BadResponse, Refusal
from penstock.providers.refusals import error_object, one_line, refusal_of

NOT_STRICT: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Body(Protocol):
    """What all bodies have, by whichever name in the JSON."""

    error: Any
    model: str | None
    usage: Any


class Shape:
    """How one endpoint's body is read: its struct, and what makes an Answer of it."""

    def __init__(
        self,
        body: type[Any],
        read: Callable[[Any], Answer | None],
        count: Callable[[Answer, Any], None],
        *,
        plain: Callable[[Any], Answer | None] | None = None,
        usage: str = "usage",
        model: str = "model",
    ) -> None:
        """`count` writes a body's usage into its answer; `usage` and `model` are JSON's names.

        `plain` says of bodies of the usual kind what these say, but faster; None of all others.
        """
        self.decoder = msgspec.json.Decoder(body)
        self.plain = plain
        self.read = read
        self.count = count
        self.names = (usage, model)

    def answer(self, raw: bytes) -> Answer | Refusal:
        """What `raw` says; raises BadResponse."""
        body: Body | None
        try:
            body = self.decoder.decode(raw)
        except NOT_STRICT:
            body = self.of_odd(raw)
        else:
            if self.plain is not None and (answer := self.plain(body)) is not None:
                return answer
        answer = None if body is None or body.error else self.read(body)
        if body is None or answer is None:
            return refusal_within(raw)
        answer.model = body.model
        if body.usage is not None:
            self.count(answer, body.usage)
            if not answer.input_tokens:
                # Every request has some: a server that says 0 does not count, so its tokens are
                # not known. Taken as they are, a budget would never be spent.
                answer.input_tokens, answer.output_tokens = None, answer.output_tokens or None
        return answer

    def of_odd(self, raw: bytes) -> Body | None:
        """The body of JSON that a strict decoder refuses, or None."""
        strict = mended(raw, *self.names)
        if strict is None:
            return None
        try:
            body: Body = self.decoder.decode(strict)
        except NOT_STRICT:
            return None
        return body


def refusal_within(raw: bytes) -> Refusal:
    """The error object of a 200 without an answer; raises BadResponse if there is none either."""
    value = parsed(raw)
    error = error_object(value)
    if error is None and isinstance(value, dict) and isinstance(value.get("choices"), list):
        errors = (error_object(choice) for choice in value["choices"])
        error = next((one for one in errors if one is not None), None)
    if error is not None:
        return refusal_of(error, {}, "an error object without a message, in a 200")
    if not raw.strip():
        raise BadResponse("a 200 with an empty body")
    what = "that is not JSON, or cut" if value is None else "without an answer in it"
    raise BadResponse(f"a 200 {what}: {one_line(raw[:400].decode('utf-8', 'replace'), 160)}")
