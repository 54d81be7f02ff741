"""What a record's end takes: its result, against the twin's, its size, and what is counted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core import twins
from engine.limiters import slab
from penstock._core import EndCounter, Field, ResultMaker, Sizes, Verdict
from penstock.engine.attempt import Attempt
from penstock.engine.pending import Pending
from penstock.engine.results import result_maker
from penstock.ledger.mark import ShardMark
from penstock.providers.provider import Answer, Refusal, Request
from penstock.record import Record

CELLS = (0, 1, 2, 3, 4, 5)
MARK = ShardMark(0, 8, 1)

texts = st.none() | st.text(max_size=3)
numbers = st.none() | st.integers(0, 2**70)
answers = st.builds(
    Answer, texts, texts, texts, numbers, numbers, numbers, numbers, numbers, st.booleans(), texts
)
requests = st.builds(
    Request, st.just("/p"), st.just(b""), st.text(max_size=3), st.just(1), st.just(0)
)
attempts = st.builds(
    Attempt,
    st.just(Verdict("succeeded", "")),
    st.sampled_from([0, 200, 429]),
    st.booleans(),
    latency_seconds=st.none() | st.floats(0, 9),
    body=st.none() | st.binary(max_size=3),
    request_id=texts,
    answer=st.none() | answers,
    refusal=st.none() | st.builds(Refusal, message=st.text(max_size=3)),
)
pendings = st.builds(
    Pending,
    st.builds(Record, st.integers(0, 2**62), st.just("in:1"), texts),
    st.just(MARK),
    st.none() | requests,
    attempts=st.integers(0, 9),
    first_ns=st.integers(0, 2**62),
)
KEEPS = {"never": (False, False), "failed": (True, False), "always": (True, True)}


@given(pendings, attempts, st.sampled_from(["", "timeout"]), st.sampled_from(sorted(KEEPS)))
@example(
    Pending(Record(1, "in:1"), MARK), Attempt(Verdict("retry", "dns"), 0, True), "dns", "always"
)
def test_a_result_is_that_of_the_twin(
    pending: Pending, attempt: Attempt, error_class: str, keep: Any
) -> None:
    made = result_maker(3, keep).of(pending, attempt, error_class, "api", 2**62, 99)
    assert made == twins.result_of(
        pending, attempt, error_class, "api", 2**62, 99, generation=3, keeps=KEEPS[keep]
    )


def test_a_struct_whose_fields_have_moved_is_refused() -> None:
    class Moved(msgspec.Struct):
        id: str | None = None
        row: int = 0

    kinds = (Pending, Record, Request, Attempt, Answer, Refusal)
    with pytest.raises(TypeError, match="begins with other fields than row, id"):
        ResultMaker(Moved, *kinds, max, float, ("a", "b", "c"), 0, (True, True))


def test_nobody_counts_half_an_answer() -> None:
    counted = slab()
    with pytest.raises(OverflowError):
        EndCounter(counted, Answer, CELLS).spent(Answer(input_tokens=5, output_tokens=10**30))
    assert not any(counted.counters()[:6])


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ((100, 30, 50, 20), [70, 30, 30, 20]),
        ((None, None, None, None), [0, 0, 0, 0]),
        ((7, None, 5, None), [7, 0, 5, 0]),
        ((10, 30, 5, 20), [0, 30, 0, 20]),
        ((10, -(2**63), 5, -1), [10, 0, 5, 0]),
    ],
)
def test_a_part_is_taken_from_its_whole_and_never_more_than_that(
    said: tuple[int | None, ...], parts: list[int]
) -> None:
    counted = slab()
    inputs, cached, outputs, reasoning = said
    answer = Answer(
        input_tokens=inputs,
        cached_input_tokens=cached,
        output_tokens=outputs,
        reasoning_tokens=reasoning,
    )
    EndCounter(counted, Answer, CELLS).spent(answer)
    assert counted.counters()[:6] == [0, 0, *parts]
    EndCounter(counted, Answer, CELLS).ended(answer, False)
    assert counted.counters()[:6] == [1, 0, *(2 * part for part in parts)]


def test_a_record_counts_by_how_it_ended() -> None:
    counted = slab()
    counter = EndCounter(counted, Answer, CELLS)
    for failed in (True, False, True):
        counter.ended(None, failed)
    assert counted.counters()[:6] == [1, 2, 0, 0, 0, 0]


class Texts(msgspec.Struct):
    one: str | None = None
    other: str | None = None
    number: int = 5


class More(Texts):
    third: str | None = None


def test_a_struct_weighs_what_its_texts_have() -> None:
    sizes = Sizes(10, (Field(Texts, "one"), Field(Texts, "other")))
    assert sizes.of(Texts()) == 10
    assert sizes.of(Texts("abc", "é")) == 14
    assert sizes.of(More("abc", None, 7, "ignored")) == 13


def test_what_is_no_text_has_no_size() -> None:
    with pytest.raises(TypeError):
        Sizes(0, (Field(Texts, "one"),)).of(Texts(5))  # type: ignore[arg-type]


class Borrower:
    one = Texts.one  # another's


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Texts, "none"),
        (Texts, "__init__"),
        (Texts(), "one"),
        (dict, "keys"),
        (Borrower, "one"),
        (type(slab), "__globals__"),
    ],
)
def test_what_is_no_field_is_none(owner: Any, name: str) -> None:
    with pytest.raises(TypeError, match=r"has no (field|object)"):
        Field(owner, name)


def test_a_field_is_read_of_its_own_struct_alone() -> None:
    class Alike(msgspec.Struct):
        one: str | None = None
        other: str | None = None
        number: int = 5

    with pytest.raises(TypeError, match=r"has no Texts\.one"):
        Sizes(0, (Field(Texts, "one"),)).of(Alike("abc"))
    deleted = Texts("abc")
    del deleted.one
    with pytest.raises(TypeError, match=r"has no Texts\.one"):
        Sizes(0, (Field(Texts, "one"),)).of(deleted)
