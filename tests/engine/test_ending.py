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
from penstock.record import Record, Result

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


def test_a_usage_that_makes_no_sense_counts_no_negative_tokens(clock: Clock) -> None:
    committer, counted = FakeCommitter(), slab()
    ending = Ending(committer, counted, ["api"], 0, "failed")  # type: ignore[arg-type]
    attempt = succeeded()
    attempt.answer = Answer(input_tokens=1, cached_input_tokens=5, reasoning_tokens=5)
    ending.after_attempt(Pending(Record(1, "in:1"), MARK), attempt, "")
    assert counted.get(C.UNCACHED_INPUT_TOKENS) == counted.get(C.VISIBLE_OUTPUT_TOKENS) == 0
