from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.sources.batch_lines import URLS, records
from penstock.sources.jsonl import is_batch_line

BODY = b'{"model": "m",  "messages": [{"role":"user","content":"h\\u00e9"}], "n": 1e0}'


def line(**changed: Any) -> bytes:
    whole = {"custom_id": "a", "method": "POST", "url": URLS[0], "body": {"model": "m"}, **changed}
    return json.dumps({key: value for key, value in whole.items() if value is not ...}).encode()


def test_a_body_is_kept_byte_for_byte() -> None:
    raw = b'{"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": %s, "x": 1}' % BODY
    (record,) = records(raw + b"\n", 3, "f", 9, None, None)
    assert record.batch is not None
    assert record.batch.body == BODY
    assert record.batch.url == "/v1/responses"
    assert (record.row, record.id, record.where) == (3, "a", "f:9")
    assert record.fields is None
    assert record.problem is None


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("stream", [..., False, None])
def test_every_known_url_is_taken(url: str, stream: Any) -> None:
    body = {"model": "m"} if stream is ... else {"stream": stream}
    (record,) = records(line(url=url, body=body), 0, "f", 1, None, None)
    assert record.problem is None


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (line(method="GET"), "the method of a batch line must be POST, is 'GET'"),
        (line(url="/v1/files"), "the url of a batch line must be one of"),
        (line(url="https://elsewhere/v1/chat/completions"), "the url of a batch line must be"),
        (line(body={"stream": True}), "the body asks for a stream"),
        (line(body={"stream": 1}), "not a batch line, as the first row of the input is"),
        (line(body=[1]), "not a batch line"),
        (line(body=...), "not a batch line"),
        (line(custom_id=7), "not a batch line"),
        (b'{"text": "a plain row"}', "not a batch line, as the first row of the input is"),
        (line()[:-2], "malformed JSON"),
        (b"[1]", "expected a JSON object, found an array"),
        (line(body={"a": "x"}).replace(b"x", b"\xff"), "invalid UTF-8 in a string"),
    ],
)
def test_an_odd_line_is_a_record_with_a_problem(broken: bytes, problem: str) -> None:
    odd, good = records(broken + b"\n" + line(), 0, "f", 1, None, None)
    assert odd.problem is not None
    assert odd.problem.startswith(problem)
    assert odd.batch is None
    assert good.batch is not None


def test_only_wanted_rows_are_decoded() -> None:
    found = list(records(line() + b"\n" + line(custom_id="b"), 4, "f", 1, None, {5}))
    assert [(record.row, record.id) for record in found] == [(5, "b")]


def test_the_shape_is_that_of_the_four_keys() -> None:
    assert is_batch_line({"custom_id": 1, "method": 2, "url": 3, "body": 4, "more": 5})
    assert not is_batch_line({"custom_id": 1, "method": 2, "url": 3})
