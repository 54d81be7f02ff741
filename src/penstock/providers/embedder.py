"""What the dialects have in common that ask for vectors: one text a record, many in a request.

A request of one record is whole by itself, and what the record is known by; requests of several
are joined into one that asks for all. What an embedder needs beside that (paths, keys, errors) is
that of the dialect for chats at the same API.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from penstock.errors import JobError
from penstock.job import Job
from penstock.providers.allowance import RenderError
from penstock.providers.columns import check_columns
from penstock.providers.dialect import ENCODER, Fields
from penstock.providers.provider import (
    Answer,
    BadResponse,
    Provider,
    Refusal,
    Request,
    UnrenderableRecord,
    predicted_tokens,
    request_hash,
)
from penstock.providers.refusals import one_line
from penstock.providers.shape import Shape
from penstock.providers.templates import Template
from penstock.providers.verdicts import Rule
from penstock.record import Record
from penstock.vector import FLOAT_BYTES, bytes_of, is_finite, packed, text_of

NUMBERS: Final = msgspec.json.Decoder(list[float])
TEXT: Final = msgspec.json.Decoder(str)


class GroupRequest(Request, frozen=True, gc=False):
    """What is sent for several records; it is known by the first one's hash."""

    rows: int = 1


class Embeddings(Answer, gc=False):
    """What a 200 says to a request of several records: their vectors, in the order of the request.

    Each is written as `penstock.vector` has it; the tokens are those of all.
    """

    vectors: tuple[str, ...] = ()


class Chats(Provider, Protocol):
    """The dialect for chats at the same API."""

    model: str | None
    only_prompt: Template | None  # where the job has a prompt and nothing else


class EmbeddingProvider(Provider, Protocol):
    """A provider that makes vectors."""

    def joined(self, requests: Sequence[Request]) -> GroupRequest:
        """One request for what several ask."""

    def embeddings(self, body: bytes, rows: int) -> Embeddings | Refusal:
        """What a 200 to a request of so many rows says. Raises BadResponse, also for another number
        of vectors, and for one that is not of the right length."""


class Embedder:
    """A dialect for vectors, for one job."""

    def __init__(
        self,
        job: Job,
        talks: Chats,
        path: str,
        around: tuple[bytes, bytes],
        part: Fields,
        hole: str,
        shape: Shape,
    ) -> None:
        """`around` stands around the parts of a request, with commas between them; `part` is one as
        JSON, with `hole` in place of its text; `shape` reads answers, vectors in the order of the
        request. Raises JobError.
        """
        self._shape = shape
        self._talks = talks
        self.name = talks.name
        self.rules: Sequence[Rule] = talks.rules
        self.notes: Sequence[str] = ()
        self.path = path
        self._model = talks.model
        self._prompt = talks.only_prompt
        self._dimensions = job.dimensions
        self._first, self._last = around
        before, after = ENCODER.encode(part if part else hole).split(ENCODER.encode(hole))
        self._before, self._after = before, after

    def check_columns(self, columns: Collection[str]) -> None:
        """See Provider."""
        if self._prompt is None:
            raise JobError(
                "--prompt is not given",
                "Give the text that a vector is made of: --prompt '{{ text }}'.",
            )
        check_columns(self._prompt, columns)
        if not self._model:
            raise JobError("--model is not given", "Give its name as the provider spells it.")

    def request(self, record: Record, more: Sequence[Fields] = ()) -> Request:
        """See Provider."""
        if record.fields is None or self._prompt is None:
            raise UnrenderableRecord(record.problem or "the row is empty")
        try:
            text = ENCODER.encode(self._prompt.render(record.fields))
        except RenderError as error:
            raise UnrenderableRecord(one_line(str(error))) from None
        except (UnicodeEncodeError, TypeError, RecursionError) as error:
            raise UnrenderableRecord(one_line(f"can't be written as JSON: {error}")) from None
        if len(text) <= 2:  # quotes alone; providers refuse the whole request for one of these
            raise UnrenderableRecord("the text is empty, and no vector can be made of it")
        body = b"".join((self._first, self._before, text, self._after, self._last))
        size = len(text) - 2
        return Request(
            self.path, body, request_hash(self.path, body), predicted_tokens(size), 0, size
        )

    def joined(self, requests: Sequence[Request]) -> GroupRequest:
        """See EmbeddingProvider."""
        start, end = len(self._first), len(self._last)
        parts = b",".join(one.body[start : len(one.body) - end] for one in requests)
        return GroupRequest(
            self.path,
            b"".join((self._first, parts, self._last)),
            requests[0].request_hash,
            sum(one.input_tokens for one in requests),
            0,
            sum(one.weight_bytes for one in requests),
            len(requests),
        )

    def headers(self, key: str | None) -> dict[str, str]:
        """See Provider."""
        return self._talks.headers(key)

    def answer(self, path: str, body: bytes) -> Answer | Refusal:
        """See Provider: what is said to a request of one record, whose output is its vector."""
        found = self.embeddings(body, 1)
        if isinstance(found, Embeddings):
            found.output = found.vectors[0]
        return found

    def embeddings(self, body: bytes, rows: int) -> Embeddings | Refusal:
        """See EmbeddingProvider."""
        found = self._shape.answer(body)
        if isinstance(found, Refusal):
            return found
        assert isinstance(found, Embeddings)
        if len(found.vectors) != rows:
            raise BadResponse(f"a 200 with {len(found.vectors)} vectors for {rows} texts")
        lengths = dict.fromkeys(map(numbers_in, found.vectors))
        if self._dimensions is None and len(lengths) == 1:
            self._dimensions = next(iter(lengths))
        other = next((length for length in lengths if length != self._dimensions), None)
        if other is not None:
            raise BadResponse(
                f"a 200 with a vector of {other} numbers, where {self._dimensions} were expected"
            )
        return found

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """See Provider."""
        return self._talks.refusal(status, headers, body)

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """See Provider."""
        return self._talks.request_id(headers)


def vector_of(raw: bytes) -> str:
    """A vector as it came, numbers or base64, as text. Raises BadResponse."""
    try:
        if raw[:1] == b'"':
            text = TEXT.decode(raw)
            data = bytes_of(text)
        else:
            data = packed(NUMBERS.decode(raw))
            text = text_of(data)
        if is_finite(data):
            return text
    except (ValueError, OverflowError, RecursionError):
        pass
    raise BadResponse(f"a 200 with something that is no vector: {one_line(shown(raw), 80)}")


def numbers_in(text: str) -> int:
    """How many numbers a vector has, by the length of its text."""
    return (len(text) * 3 // 4 - text.count("=", -2)) // FLOAT_BYTES


def shown(raw: bytes) -> str:
    return raw[:200].decode("utf-8", "replace")


def wanted(job: Job, name: str) -> Fields:
    """The dimensions that a job asks for, under a provider's name for them. Raises JobError."""
    for given in ("dimensions", name):
        if given in job.param:
            raise JobError(f"--param {given} is given", f"Use --dimensions {job.param[given]}.")
    return {} if job.dimensions is None else {name: job.dimensions}


def refuse_params(params: Mapping[str, Any], names: Collection[str]) -> None:
    """Raises JobError for parameters that the text is put into."""
    for name in names:
        if name in params:
            raise JobError(f"--param {name} is not a parameter", "It is what --prompt makes.")
