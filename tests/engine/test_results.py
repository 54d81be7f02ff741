"""From a record's last attempt to its result or dead letter."""

from __future__ import annotations

from typing import Any

import pytest

from engine.attempts import failed, rejected, succeeded, throttled
from penstock._core import Verdict
from penstock.engine.attempt import Attempt
from penstock.engine.pending import Pending
from penstock.engine.results import dead_letter, result_maker, with_tokens
from penstock.job import KeepResponse
from penstock.ledger.mark import ShardMark
from penstock.ledger.schema import batch_of
from penstock.providers.provider import Answer, Request
from penstock.record import BOUGHT, FAILED, SUCCEEDED, Record, Result


def result(
    attempt: Attempt,
    error_class: str = "",
    spent: Answer | None = None,
    keep: KeepResponse = "failed",
) -> Result:
    pending = Pending(Record(7, "in.jsonl:8", id="seven"), ShardMark(0, 8, 1))
    pending.attempts, pending.first_ns, pending.spent = 3, 1_000_000_000, spent
    pending.request = Request("/chat", b"{}", "hash", 1, 0)
    return result_maker(2, keep).of(pending, attempt, error_class, "api.example", 3_500_000_000, 99)


def test_a_result_has_the_answer_and_how_it_came_about() -> None:
    attempt = succeeded()
    attempt.request_id, attempt.latency_seconds = "req-1", 0.5
    attempt.answer = Answer("text", "length", "gpt", 10, 4, 20, 6, 0, True, "hm", "[]")
    found = result(attempt)
    assert found == Result(
        row=7,
        id="seven",
        outcome=SUCCEEDED,
        output="text",
        tool_calls="[]",
        reasoning="hm",
        finish_reason="length",
        truncated=True,
        model="gpt",
        endpoint="api.example",
        http_status=200,
        request_id="req-1",
        input_tokens=10,
        cached_input_tokens=4,
        output_tokens=20,
        reasoning_tokens=6,
        attempts=3,
        latency_seconds=0.5,
        elapsed_seconds=2.5,
        finished_at=99,
        request_hash="hash",
        generation=2,
    )


def test_the_tokens_of_answers_that_did_not_count_are_the_record_s_too() -> None:
    spent = Answer("bad", "stop", "m", 7, 5, 2, None)
    added = with_tokens(Answer("good", "stop", "m", 1, None, 3, 4), spent)
    assert added == Answer("good", "stop", "m", 8, 5, 5, 4)
    assert with_tokens(Answer(), spent) == Answer(None, None, None, 7, 5, 2)
    attempt = succeeded()
    attempt.answer = Answer("good", "stop", "m", 1, None, 3)
    found = result(attempt, spent=spent)
    assert (found.output, found.input_tokens, found.output_tokens) == ("good", 8, 5)
    lost = result(failed("timeout", 0), "timeout", spent=spent)
    assert (lost.output, lost.input_tokens, lost.cached_input_tokens) == (None, 7, 5)


def test_a_dead_letter_says_the_class_the_message_and_the_body() -> None:
    found = result(rejected("context_length"), "context_length")
    assert (found.outcome, found.error_class, found.error_message, found.response) == (
        FAILED,
        "context_length",
        "no",
        "no",
    )
    assert found.output is None


def test_a_throttled_record_that_ends_has_the_class_of_the_decision_not_of_the_verdict() -> None:
    assert result(throttled(), "exceeds_limit").error_class == "exceeds_limit"


def test_a_failure_without_an_answer_has_no_status() -> None:
    assert result(failed("timeout", 0), "timeout").http_status is None


@pytest.mark.parametrize(
    ("keep", "succeeded_", "kept"),
    [
        ("failed", True, False),
        ("failed", False, True),
        ("always", True, True),
        ("always", False, True),
        ("never", True, False),
        ("never", False, False),
    ],
)
def test_the_body_is_kept_as_told(keep: Any, succeeded_: bool, kept: bool) -> None:
    attempt = succeeded() if succeeded_ else rejected()
    found = result(attempt, "" if succeeded_ else "invalid_request", keep=keep)
    assert (found.response is not None) is kept


def test_a_body_that_is_not_utf8_is_kept_as_far_as_it_can_be() -> None:
    attempt = rejected()
    attempt.body = b"ok \xff\xfe"
    assert result(attempt, "invalid_request").response == "ok ��"


def test_every_result_fits_the_columns_of_a_segment() -> None:
    letter = dead_letter(
        Record(3, "in.jsonl:4", id="x"), "invalid_input", "why", generation=1, finished_at=5
    )
    batch = batch_of([letter, result(succeeded()), result(rejected(), "invalid_request")])
    assert batch.column("row").to_pylist() == [3, 7, 7]
    assert batch.column("error_class").to_pylist() == ["invalid_input", None, "invalid_request"]
    assert letter.attempts == 0
    assert letter.http_status is None


def test_what_is_known_of_a_record_that_no_request_was_made_for_and_nothing_sent() -> None:
    pending = Pending(Record(1, "in:1"), ShardMark(0, 8, 1), first_ns=5)
    attempt = Attempt(Verdict("retry", "dns"), 0, True)
    found = result_maker(0, "never").of(pending, attempt, "dns", "", 5, 0)
    assert (found.request_hash, found.error_message, found.latency_seconds) == (None, None, None)
    assert (found.cost_usd, found.elapsed_seconds, found.source) == (None, 0.0, BOUGHT)


def test_a_cost_is_told_in_dollars() -> None:
    pending = Pending(Record(1, "in:1"), ShardMark(0, 8, 1), cost_pusd=2_500_000_000_000)
    assert result_maker(0, "never").of(pending, succeeded(), "", "", 0, 0).cost_usd == 2.5


def test_structs_that_are_derived_have_the_same_fields() -> None:
    class Named(Pending, gc=False, eq=False):
        name: str = "x"

    class Longer(Answer, gc=False):
        vectors: tuple[str, ...] = ()

    attempt = succeeded()
    attempt.answer = Longer("text", input_tokens=3)
    found = result_maker(0, "never").of(
        Named(Record(4, "in:4"), ShardMark(0, 8, 1)), attempt, "", "api", 0, 0
    )
    assert (found.row, found.output, found.input_tokens) == (4, "text", 3)


def test_what_is_no_such_struct_is_refused() -> None:
    with pytest.raises(TypeError, match=r"has no Pending\.record"):
        result_maker(0, "never").of(Record(1, "in:1"), succeeded(), "", "", 0, 0)  # type: ignore[arg-type]
