"""Which answers count."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.engine.judge import GOOD, Judge, judge_of
from penstock.job import Job
from penstock.providers.provider import Answer

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
CALLS = '[{"id":"c"}]'


def fate(output: str | None, job: dict[str, Any] | None = None, **answer: Any) -> str:
    return Judge(Job(**({"schema": SCHEMA} | (job or {})))).fate(Answer(output, **answer))[0]


def test_a_job_that_asks_nothing_of_its_answers_has_no_judge() -> None:
    assert judge_of(Job()) is None
    assert judge_of(Job(schema=SCHEMA)) and judge_of(Job(on_truncated="fail"))


def test_an_answer_matches_or_says_why_not() -> None:
    assert Judge(Job(schema=SCHEMA)).fate(Answer('{"n": 1}')) is GOOD
    found = Judge(Job(schema=SCHEMA)).fate(Answer('{"n": 1.5}'))
    assert found == ("invalid_output", '/n: 1.5 is not of type "integer"')


@pytest.mark.parametrize("output", ['{"n": 1}', '```json\n{"n": 1}\n```', ' ```\n{"n":1}```\n'])
def test_an_answer_may_stand_in_a_block_of_code(output: str) -> None:
    assert fate(output) == ""


@pytest.mark.parametrize("output", [None, "", "n is 1", '{"n":', "[" * 100_000])
def test_what_is_no_json_does_not_match(output: str | None) -> None:
    assert fate(output) == "invalid_output"


def test_a_cut_answer_counts_only_if_it_matches_and_is_kept() -> None:
    assert fate('{"n": 1}', finish_reason="length", truncated=True) == ""
    assert fate('{"n": ', finish_reason="length", truncated=True) == "truncated"
    fails = {"on_truncated": "fail"}
    assert fate('{"n": 1}', fails, truncated=True) == "truncated"
    assert fate("text", {**fails, "schema": None}, truncated=True) == "truncated"
    assert fate("text", {**fails, "schema": None}) == ""


@pytest.mark.parametrize(
    ("reason", "error_class"),
    [("refusal", "refusal"), ("content_filter", "content_filter"), ("SAFETY", "content_filter")],
)
def test_a_refusal_has_a_class_of_its_own(reason: str, error_class: str) -> None:
    assert fate("I can't.", finish_reason=reason) == error_class
    assert fate(None, finish_reason=reason) == error_class


def test_calls_of_tools_are_no_answers_to_a_schema() -> None:
    assert fate(None, tool_calls=CALLS) == fate(CALLS, tool_calls=CALLS) == ""
    assert fate("text", tool_calls=CALLS) == "invalid_output"
