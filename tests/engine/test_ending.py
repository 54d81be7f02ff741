"""What the end of a record commits and counts."""

from __future__ import annotations

from engine.attempts import rejected, succeeded
from engine.limiters import slab
from engine.virtual_time import Clock
from penstock.engine.ending import Ending
from penstock.engine.pending import Pending
from penstock.ledger.mark import ShardMark
from penstock.observe.slab_layout import C
from penstock.providers.provider import Answer
from penstock.record import DUPLICATE, REUSED, SUCCEEDED, Record, Result

MARK = ShardMark(0, 1000, 7)


class FakeCommitter:
    congested = False

    def __init__(self) -> None:
        self.added: list[tuple[Result, ShardMark]] = []

    def add(self, result: Result, shard: ShardMark) -> None:
        self.added.append((result, shard))


def test_an_ending_commits_the_result_and_counts_disjoint_kinds_of_tokens(clock: Clock) -> None:
    committer, counted = FakeCommitter(), slab()
    ending = Ending(committer, counted, ["api"], 3, "failed")  # type: ignore[arg-type]
    pending = Pending(Record(1, "in:1", fields={}), MARK)
    attempt = succeeded()
    attempt.answer = Answer(
        output="x",
        input_tokens=100,
        cached_input_tokens=30,
        output_tokens=50,
        reasoning_tokens=20,
    )
    ending.after_attempt(pending, attempt, "")
    ending.after_attempt(pending, rejected(), "invalid_request")
    ending.unasked(Record(2, "in:2"), MARK, "worker_crash", "why")
    assert [one.error_class for one, _ in committer.added] == [
        None,
        "invalid_request",
        "worker_crash",
    ]
    assert {one.generation for one, _ in committer.added} == {3}
    assert {mark for _, mark in committer.added} == {MARK}
    tokens = [
        counted.get(cell)
        for cell in (
            C.UNCACHED_INPUT_TOKENS,
            C.CACHED_INPUT_TOKENS,
            C.VISIBLE_OUTPUT_TOKENS,
            C.REASONING_TOKENS,
        )
    ]
    assert tokens == [70, 30, 30, 20]
    assert counted.get(C.RECORDS_SUCCEEDED) == 1
    assert counted.get(C.RECORDS_FAILED) == 2


def test_what_is_taken_is_counted_by_how_it_ended_and_where_it_is_from(clock: Clock) -> None:
    committer, counted = FakeCommitter(), slab()
    ending = Ending(committer, counted, ["api"], 0, "failed")  # type: ignore[arg-type]
    record = Record(1, "in:1")
    ending.taken(record, MARK, Result(row=7, outcome=SUCCEEDED), REUSED)
    assert (counted.get(C.RECORDS_REUSED), counted.get(C.RECORDS_DUPLICATE)) == (1, 0)
    assert (counted.get(C.RECORDS_SUCCEEDED), counted.get(C.RECORDS_FAILED)) == (1, 0)
    for error_class in ("invalid_request", None):
        ending.taken(record, MARK, Result(row=7, error_class=error_class), DUPLICATE)
    assert (counted.get(C.RECORDS_REUSED), counted.get(C.RECORDS_DUPLICATE)) == (1, 2)
    assert (counted.get(C.RECORDS_SUCCEEDED), counted.get(C.RECORDS_FAILED)) == (1, 2)


def test_an_answer_that_ends_nothing_counts_its_tokens_and_no_record(clock: Clock) -> None:
    counted = slab()
    ending = Ending(FakeCommitter(), counted, ["api"], 0, "failed")  # type: ignore[arg-type]
    ending.spent(Answer(input_tokens=100, output_tokens=50))
    assert counted.get(C.UNCACHED_INPUT_TOKENS) == 100
    assert counted.get(C.VISIBLE_OUTPUT_TOKENS) == 50
    assert counted.get(C.RECORDS_SUCCEEDED) == counted.get(C.RECORDS_FAILED) == 0


def test_a_result_names_the_endpoint_that_was_asked_last(clock: Clock) -> None:
    committer = FakeCommitter()
    ending = Ending(committer, slab(), ["api", "other"], 0, "failed")  # type: ignore[arg-type]
    for lane in (0, 1):
        ending.after_attempt(Pending(Record(1, "in:1"), MARK, lane=lane), succeeded(), "")
    assert [one.endpoint for one, _ in committer.added] == ["api", "other"]


def test_a_usage_that_makes_no_sense_counts_no_negative_tokens(clock: Clock) -> None:
    committer, counted = FakeCommitter(), slab()
    ending = Ending(committer, counted, ["api"], 0, "failed")  # type: ignore[arg-type]
    attempt = succeeded()
    attempt.answer = Answer(input_tokens=1, cached_input_tokens=5, reasoning_tokens=5)
    ending.after_attempt(Pending(Record(1, "in:1"), MARK), attempt, "")
    assert counted.get(C.UNCACHED_INPUT_TOKENS) == counted.get(C.VISIBLE_OUTPUT_TOKENS) == 0
