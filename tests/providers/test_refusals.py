from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.providers.provider import Refusal
from penstock.providers.refusals import MESSAGE_CHARACTERS, one_line, read_refusal
from penstock.providers.verdicts import UNREADABLE


def refusal(value: Any, headers: dict[str, str] | None = None) -> Refusal:
    return read_refusal(429, headers or {}, json.dumps(value).encode())


@pytest.mark.parametrize(
    ("value", "code", "type"),
    [
        ({"error": {"message": "m", "type": "t", "code": "c"}}, "c", "t"),
        ({"error": {"message": "m", "type": "t", "code": 400}}, "400", "t"),
        ({"error": {"message": "m", "type": None, "code": None}}, None, None),
        ({"error": {"message": "m", "code": True}}, None, None),
        ({"error": {"message": "m", "code": ["c"], "type": ""}}, None, None),
        ({"type": "error", "error": {"type": "t", "message": "m"}, "request_id": "r"}, None, "t"),
        ([{"error": {"code": 429, "message": "m", "status": "S"}}], "429", "S"),
        ({"object": "error", "message": "m", "type": "t", "code": 404}, "404", "t"),
        ({"error": "m"}, None, None),
        ({"error": "m", "type": "t"}, None, "t"),
    ],
)
def test_every_shape_of_an_error_body_is_read(
    value: Any, code: str | None, type: str | None
) -> None:
    assert refusal(value) == Refusal(code, type, "m")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "HTTP 429 with an empty body"),
        (b" \r\n", "HTTP 429 with an empty body"),
        (b"<html><head><title>502 Bad\nGateway</title>", "HTTP 429: 502 Bad Gateway"),
        (b"upstream connect error\x00\x1b[31m", "HTTP 429: upstream connect error [31m"),
        (b'{"detail":"Not Found"}', "Not Found"),
        (b'{"status":"failure","message":"a header is required"}', "a header is required"),
        (b'{"success":false,"errors":[{"code":1,"message":"a"},{"message":"b"}]}', "a; b"),
        (b'{"type":"about:blank","title":"Bad","detail":"the model","status":400}', "the model"),
        (b'{"what":1}', 'HTTP 429: {"what":1}'),
        (b'{"error":null}', 'HTTP 429: {"error":null}'),
        (b'{"error":{"mess', 'HTTP 429: {"error":{"mess'),
        (b"[]", "HTTP 429: []"),
        (b"\xff\xfe", "HTTP 429: \ufffd\ufffd"),
    ],
)
def test_a_body_that_is_no_error_object_is_told_and_marked(raw: bytes, message: str) -> None:
    assert read_refusal(429, {}, raw) == Refusal(None, UNREADABLE, message)


def test_an_error_without_a_message_has_its_status_as_one() -> None:
    assert refusal({"error": {"code": "c"}}).message == "HTTP 429"
    assert refusal({"error": {"message": {"en": "no"}}}).message == "HTTP 429"


def test_what_fastapi_finds_wrong_with_a_body_is_told_with_its_place() -> None:
    missing = {"type": "missing", "loc": ["body", "messages"], "msg": "Field required", "input": {}}
    odd = {"type": "int_parsing", "loc": ["body", "n", 0], "msg": "Input should be an integer"}
    found = read_refusal(422, {}, json.dumps({"detail": [missing, odd]}).encode())
    assert found.message == ("body.messages: Field required; body.n.0: Input should be an integer")
    assert refusal({"error": {"message": [missing]}}).message == "body.messages: Field required"
    assert refusal({"error": {"error": {"message": "within"}}}).message == "within"


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (400, "Your credit balance is too low to access the API.", "credit_balance_too_low"),
        (400, "prompt: Your credit balance is too low", None),
        (400, "/chat/completions: Invalid model name passed in model=x. Call", "model_not_found"),
        (400, "anthropic_messages: Invalid model name passed in model=x.", "model_not_found"),
        (400, "he wrote: 'Invalid model name passed in model=x'", None),
        (404, "model: claude-x", "model_not_found"),
        (404, "File file_1 was not found", None),
        (404, "models/x is not found for API version v1beta", "model_not_found"),
        (500, "model: claude-x", None),
    ],
)
def test_what_stops_a_run_and_is_said_in_words_alone_has_a_code(
    status: int, message: str, code: str | None
) -> None:
    body = {"error": {"message": message, "type": "t"}}
    assert read_refusal(status, {}, json.dumps(body).encode()).code == code


def test_the_wait_is_read_from_headers_message_and_details() -> None:
    assert refusal({"error": {"message": "try again in 2s"}}).wait_seconds == 2.0
    assert refusal({"error": "x"}, {"retry-after": "7"}).wait_seconds == 7.0
    details = [{"@type": "QuotaFailure"}, "odd", {"@type": "RetryInfo", "retryDelay": "36s"}]
    assert refusal({"error": {"code": 429, "details": details}}).wait_seconds == 36.0


def test_a_message_is_one_bounded_line_that_utf8_can_hold() -> None:
    assert one_line("a\n\tb\u2028c\x7fd  e") == "a b c d e"
    assert one_line("x\ud800y") == "x?y"
    long = refusal({"error": {"message": "word " * 1000}}).message
    assert len(long) == MESSAGE_CHARACTERS
    assert long.endswith("…")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "type", "code", "status", "details", "object"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(st.integers(100, 599), JSON.map(lambda value: json.dumps(value).encode()) | st.binary())
def test_whatever_the_body_is_a_refusal_comes_of_it(status: int, raw: bytes) -> None:
    found = read_refusal(status, {}, raw)
    assert 0 < len(found.message) <= MESSAGE_CHARACTERS
    assert found.message.isprintable()
    found.message.encode()


@pytest.mark.parametrize("depth", [100, 400, 900, 100_000])
def test_a_body_nested_too_deep_is_a_refusal_all_the_same(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    for raw in (deep, b'{"error":{"message":' + deep + b"}}", b'{"error":' + deep + b"}"):
        assert read_refusal(500, {}, raw).message


@pytest.mark.parametrize("said", ["", "\x11", " \n"])
def test_a_message_without_words_is_the_status(said: str) -> None:
    assert refusal({"error": {"message": said}}).message == "HTTP 429"
