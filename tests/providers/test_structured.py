"""Structured output: how it is asked for, and what is wrong with an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.errors import JobError
from penstock.job import Job
from penstock.providers.openai import OpenAI
from penstock.providers.structured import Structure, closed, correction, why_not_strict
from penstock.record import Record

PART = {"type": "object", "properties": {"s": {"type": "string"}}, "required": ["s"]}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "parts": {"type": "array", "items": PART}},
    "required": ["n", "parts"],
}


def body(**options: Any) -> Any:
    provider = OpenAI(Job(**{"model": "m", "prompt": "x", "schema": SCHEMA, **options}))
    return json.loads(provider.request(Record(0, "in:1", fields={})).body)


def test_openai_s_chat_is_asked_for_a_strict_schema() -> None:
    asked = body(param={"temperature": 0})
    assert asked["temperature"] == 0
    wanted = asked["response_format"]
    assert (wanted["type"], wanted["json_schema"]["strict"]) == ("json_schema", True)
    schema = wanted["json_schema"]["schema"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["parts"]["items"]["additionalProperties"] is False
    assert "additionalProperties" not in SCHEMA


def test_a_schema_that_says_less_is_asked_for_without_strict() -> None:
    loose = {**SCHEMA, "required": ["n"], "properties": {"n": {"type": "integer"}, "o": {}}}
    wanted = body(schema=loose)["response_format"]["json_schema"]
    closed_ = {**loose, "additionalProperties": False}
    assert wanted == {"name": "answer", "schema": closed_, "strict": False}
    opened = {**loose, "additionalProperties": True}
    assert body(schema=opened)["response_format"]["json_schema"]["schema"] == opened


@pytest.mark.parametrize("name", ["allOf", "not", "if"])
def test_parts_that_hold_together_are_not_closed(name: str) -> None:
    whole = {**SCHEMA, "properties": {"n": {name: [PART] if name == "allOf" else PART}}}
    assert body(schema=whole)["response_format"]["json_schema"]["schema"] == whole


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (SCHEMA, ""),
        ({**SCHEMA, "$defs": {"P": PART}}, ""),
        ({"type": "array", "items": PART}, "its root is no object"),
        ({**SCHEMA, "required": ["n"]}, "/parts is not required"),
        ({**SCHEMA, "additionalProperties": True}, "/ allows other properties"),
        ({"type": "object"}, "/ allows other properties"),
        ({**SCHEMA, "allOf": [PART]}, "/ has allOf"),
        ({**SCHEMA, "properties": {"n": {}, "parts": {"type": "null"}}}, "/n allows anything"),
        ({**SCHEMA, "$defs": {"P": {**PART, "required": []}}}, "/$defs/P/s is not required"),
        ({**SCHEMA, "properties": {"n": True, "parts": PART}}, "/n allows anything"),
        (
            {**SCHEMA, "properties": {"n": {"anyOf": [{"not": {}}]}, "parts": PART}},
            "/n/anyOf/0 has not",
        ),
    ],
)
def test_what_keeps_a_schema_from_being_strict_is_said(schema: Any, why: str) -> None:
    assert why_not_strict(schema) == why


def test_a_property_called_as_a_keyword_is_a_property() -> None:
    properties = {"properties": {"type": "string"}, "items": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": ["properties", "items"]}
    assert why_not_strict(schema) == ""
    assert closed(schema) == {**schema, "additionalProperties": False}


@pytest.mark.parametrize("name", ["response_format", "response_format.type"])
def test_a_parameter_that_says_the_same_is_refused(name: str) -> None:
    with pytest.raises(JobError, match=r"both --schema and --param response_format"):
        body(param={name: "text"})


def test_messages_that_follow_stand_after_the_record_s_own() -> None:
    provider = OpenAI(Job(model="m", prompt="x", schema=SCHEMA))
    more = correction("{}", '"n" is a required property')
    sent = json.loads(provider.request(Record(0, "in:1", fields={}), more).body)["messages"]
    assert [one["role"] for one in sent] == ["user", "assistant", "user"]
    assert sent[1]["content"] == "{}"
    assert '"n" is a required property' in sent[2]["content"]


def test_the_validator_s_words_name_the_place_and_are_bounded() -> None:
    structure = Structure(SCHEMA)
    assert structure.problem('{"n": 1, "parts": [{"s": "x"}]}') == ""
    assert structure.problem('{"n": 1, "parts": [{"s": 5}]}') == (
        '/parts/0/s: 5 is not of type "string"'
    )
    assert structure.problem("{}") == ('"n" is a required property; "parts" is a required property')
    many = json.dumps({"n": 1, "parts": [{"s": "x" * 999}, *range(50)]})
    problem = structure.problem(many)
    assert problem.count(";") <= 4 and len(problem) <= 500 and problem.isprintable()
