"""Any JSON API: a body that is a template, and pointers into the response."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.errors import JobError, TemplateError
from penstock.job import Job
from penstock.providers.http import Http, at, steps_of
from penstock.providers.openai import OpenAI
from penstock.providers.provider import Answer, BadResponse, Refusal, UnrenderableRecord
from penstock.record import BatchLine, Record

BODY = '{"text": {{ text | tojson }}, "options": {"n": 1}}'
POINTER = {
    "output": "/results/0/text",
    "finish_reason": "/results/0/why",
    "input_tokens": "/usage/in",
    "output_tokens": "/usage/out",
    "model": "/engine",
}


def dialect(**options: Any) -> Http:
    given = {"provider": "http", "base_url": "https://h/generate", "body": BODY, "pointer": POINTER}
    return Http(Job(**{**given, **options}))


def record(**fields: Any) -> Record:
    return Record(0, "f:1", fields=fields)


def answered(value: Any, **options: Any) -> Answer | Refusal:
    return dialect(**options).answer("", json.dumps(value).encode())


def test_the_body_is_sent_as_the_template_makes_it() -> None:
    request = dialect().request(record(text='a "b"\n'))
    assert request.path == ""
    assert request.body == b'{"text": "a \\"b\\"\\n", "options": {"n": 1}}'
    elsewhere = dialect(base_url="https://h/other").request(record(text='a "b"\n'))
    assert elsewhere.body == request.body and elsewhere.request_hash != request.request_hash


def test_parameters_are_laid_over_the_body() -> None:
    asked = dialect(param={"options.k": 5, "max_tokens": 9})
    assert json.loads(asked.request(record(text="a")).body) == {
        "text": "a",
        "options": {"n": 1, "k": 5},
        "max_tokens": 9,
    }
    with pytest.raises(UnrenderableRecord, match="no object"):
        dialect(body="[1]", param={"a": 1}).request(record())


@pytest.mark.parametrize("body", ["{{ text }}", '{"a": {{ text }}}', "{{ nothing }}"])
def test_what_is_no_json_is_the_record_s_error(body: str) -> None:
    with pytest.raises(UnrenderableRecord):
        dialect(body=body).request(record(text="a"))


def test_a_row_that_is_no_record_is_the_record_s_error() -> None:
    with pytest.raises(UnrenderableRecord, match="odd"):
        dialect().request(Record(0, "f:1", problem="odd"))
    with pytest.raises(UnrenderableRecord):
        dialect().request(Record(0, "f:1", batch=BatchLine("/v1/x", b"{}")))


def test_a_column_that_is_not_there_is_found_before_the_first_request() -> None:
    dialect().check_columns(["text"])
    with pytest.raises(TemplateError, match="--body: there is no column 'text'"):
        dialect().check_columns(["other"])


def test_the_answer_is_where_the_pointers_say() -> None:
    value = {
        "results": [{"text": "hello", "why": "length"}],
        "usage": {"in": 7, "out": 5.0},
        "engine": "m",
    }
    assert answered(value) == Answer("hello", "length", "m", 7, None, 5, truncated=True)


def test_an_output_that_is_no_text_is_json_text() -> None:
    assert answered([[0.5, 1]], pointer={"output": "/0"}) == Answer("[0.5, 1]")
    assert answered({"a": 1}, pointer={"output": ""}) == Answer('{"a": 1}')
    assert answered({"a": "\ud800"}, pointer={"output": "/a"}) == Answer("?")


@pytest.mark.parametrize("count", [-1, "7", 1.5, True, None, 2**60])
def test_a_count_that_is_none_is_left_out(count: Any) -> None:
    found = answered({"results": [{"text": "a"}], "usage": {"in": count}})
    assert isinstance(found, Answer) and found.input_tokens is None


@pytest.mark.parametrize("value", [{}, {"results": []}, {"results": [{}]}, [], None, 5])
def test_a_200_without_an_output_is_a_bad_response(value: Any) -> None:
    with pytest.raises(BadResponse):
        answered(value)


def test_an_error_inside_a_200_is_a_refusal() -> None:
    assert answered({"error": {"message": "m", "code": 429}}) == Refusal("429", None, "m")


def test_pointers_are_those_of_the_standard() -> None:
    value = {"a/b": [{"m~n": 1}], "": 2}
    assert at(value, steps_of("/a~1b/0/m~0n")) == 1
    assert at(value, steps_of("/")) == 2
    assert at(value, steps_of("")) == value
    for pointer in ("/x", "/a~1b/1", "/a~1b/-1", "/a~1b/x", "/a~1b/0/m~0n/0"):
        assert at(value, steps_of(pointer)) is None


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"body": None}, "without --body"),
        ({"pointer": {}}, "without --pointer"),
        ({"pointer": {"output": "/a", "what": "/b"}}, "there is no 'what'"),
        ({"pointer": {"output": "a/b"}}, "begins with /"),
        ({"prompt": "x"}, "--prompt is given"),
        ({"messages": "m"}, "--messages is given"),
    ],
)
def test_what_can_not_work_is_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(JobError, match=match):
        dialect(**options)


@pytest.mark.parametrize("options", [{"body": "{}"}, {"pointer": {"output": "/a"}}])
def test_other_providers_take_neither_body_nor_pointers(options: dict[str, Any]) -> None:
    with pytest.raises(JobError, match="for --provider http"):
        OpenAI(Job(model="m", prompt="x", **options))


def test_an_answer_that_did_not_match_and_why_follow_the_messages_of_a_chat() -> None:
    more = [{"role": "assistant", "content": "{}"}, {"role": "user", "content": "n is missing"}]
    first = {"role": "user", "content": "a"}
    chat = dialect(body='{"messages": [{"role": "user", "content": {{ text | tojson }}}]}')
    assert json.loads(chat.request(record(text="a"), more).body)["messages"] == [first, *more]
    assert json.loads(chat.request(record(text="a")).body)["messages"] == [first]
    for asked in (dialect(), dialect(body="[1]"), dialect(body='{"messages": "a"}')):
        again = asked.request(record(text="a"), more).body
        assert json.loads(again) == json.loads(asked.request(record(text="a")).body)
