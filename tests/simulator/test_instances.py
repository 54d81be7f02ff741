"""Answers to a schema, right and wrong."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from penstock.simulator.answers import make_reply
from penstock.simulator.draws import Length
from penstock.simulator.instances import instance, wrong
from penstock.simulator.questions import Question, chat_question, response_question
from penstock.simulator.settings import Settings

TREE = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "below": {"$ref": "#"}},
    "required": ["text"],
}
SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "n": {"type": "integer"}},
    "required": ["text", "n"],
}


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA,
        TREE,
        {"type": "object", "properties": {"t": {"$ref": "#/$defs/T"}}, "$defs": {"T": SCHEMA}},
        {"type": "array", "items": {"type": "integer", "minimum": 5}, "minItems": 3},
        {"type": "integer", "exclusiveMinimum": 5},
        {"type": "number", "maximum": -1},
        {"type": "string", "minLength": 40, "maxLength": 45},
        {"enum": ["a", 5, None]},
        {"const": {"a": 1}},
        {"anyOf": [{"type": "null"}, {"type": "string"}]},
        {"type": ["null", "string"]},
        {"type": "boolean"},
    ],
)
def test_an_instance_matches_its_schema(schema: dict[str, Any]) -> None:
    value = instance(schema, "echo: a")
    jsonschema_rs.validate(schema, value)


@pytest.mark.parametrize("chance", [0.1, 0.9])
def test_a_wrong_one_does_not(chance: float) -> None:
    for schema in (SCHEMA, {"type": "array", "items": {"type": "string"}}, {"type": "string"}):
        assert not jsonschema_rs.is_valid(schema, wrong(instance(schema, "a"), chance))


def text_of(settings: Settings, length: Length, key: int) -> str:
    question = Question("m", ("a",), 11, schema=SCHEMA)
    return make_reply(settings, question, length, key, "i", 1).texts[0]


def test_a_reply_matches_but_for_the_share_that_does_not_and_is_cut_where_it_is() -> None:
    stop = Length(8, "stop")
    assert json.loads(text_of(Settings(), stop, 1)) == {"text": "echo: a", "n": 1}
    some = Settings(invalid_output=0.3)
    bad = [
        not jsonschema_rs.is_valid(SCHEMA, json.loads(text_of(some, stop, k))) for k in range(400)
    ]
    assert 80 < sum(bad) < 160
    assert text_of(Settings(), Length(2, "length"), 1) == '{"text":'


def test_the_schema_of_a_request_is_found_where_each_api_has_it() -> None:
    chat = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    body = {"model": "m", "messages": [{"role": "user", "content": "a"}], "response_format": chat}
    assert chat_question(json.dumps(body).encode()).schema == SCHEMA
    flat = {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}
    asked = {"model": "m", "input": "a", "text": flat}
    assert response_question(json.dumps(asked).encode()).schema == SCHEMA
    other = {**body, "response_format": {"type": "json_object"}}
    assert chat_question(json.dumps(other).encode()).schema is None
