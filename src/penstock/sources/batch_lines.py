"""OpenAI batch input lines: requests that are written out already.

    {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {...}}

The body is never decoded into values, so that it is sent byte for byte as it was written.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Final

import msgspec

from penstock.record import BatchLine, Record
from penstock.sources.decoded import wanted_lines
from penstock.sources.jsonl import fields_of, lines_of

URLS: Final = ("/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/embeddings")


class _Line(msgspec.Struct):
    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


class _Body(msgspec.Struct):
    stream: bool | None = None


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_body = msgspec.json.Decoder(_Body).decode


def batch_line_of(line: bytes) -> tuple[str, BatchLine] | str:
    """The id and the request that a line holds, or what is wrong with it."""
    try:
        line.decode()  # what msgspec skips over it does not check
        parts = _decode_line(line)
        body = bytes(parts.body)
        streams = _decode_body(body).stream
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _problem(line, error)
    if parts.method != "POST":
        return f"the method of a batch line must be POST, is {parts.method!r}"
    if parts.url not in URLS:
        return f"the url of a batch line must be one of {', '.join(URLS)}, is {parts.url!r}"
    if streams:
        return "the body asks for a stream; answers are read whole"
    return parts.custom_id, BatchLine(parts.url, body)


def _problem(line: bytes, error: Exception) -> str:
    """What is wrong with a line that isn't a batch line."""
    fields = fields_of(line)
    if isinstance(fields, str):
        return fields
    return f"not a batch line, as the first row of the input is: {error}"


def records(
    payload: bytes,
    first_row: int,
    file: str,
    first_line: int,
    id_column: str | None,
    wanted: Container[int] | None,
) -> Iterator[Record]:
    """The records of a payload of batch lines; their id is `custom_id`, whatever `id_column` is."""
    lines = wanted_lines(lines_of(payload, first_line), first_row, file, wanted)
    for row, where, line in lines:
        found = batch_line_of(line)
        if isinstance(found, str):
            yield Record(row, where, problem=found)
        else:
            custom_id, batch = found
            yield Record(row, where, custom_id, batch=batch)
