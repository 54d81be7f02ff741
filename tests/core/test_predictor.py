"""What a request will cost, learned from what earlier ones did."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core import twins
from penstock._core import FIRST_OUTPUT_TOKENS, TokenPredictor


def test_before_the_first_answer_four_bytes_are_a_token() -> None:
    predictor = TokenPredictor()
    assert predictor.predict(4000, 0) == (1000, FIRST_OUTPUT_TOKENS)
    assert predictor.predict(0, 0)[0] == 1


def test_what_the_request_allows_bounds_the_output_but_is_not_taken_for_it() -> None:
    predictor = TokenPredictor()
    assert predictor.predict(4, 10)[1] == 10
    assert predictor.predict(4, 100_000)[1] == FIRST_OUTPUT_TOKENS


def test_the_tokens_per_byte_are_learned() -> None:
    predictor = TokenPredictor()
    for _ in range(200):
        predictor.learn(1000, 500, 10)
    assert 495 <= predictor.predict(1000, 0)[0] <= 500


def test_the_output_is_what_few_answers_exceed() -> None:
    predictor = TokenPredictor()
    for number in range(129):
        predictor.learn(1000, 250, 10 if number % 10 else 1000)
    assert predictor.predict(1000, 0)[1] == 10
    for number in range(129):
        predictor.learn(1000, 250, 10 if number % 2 else 1000)
    assert predictor.predict(1000, 0)[1] == 1000


def test_however_many_answers_there_were_the_output_is_looked_at_again_soon() -> None:
    predictor = TokenPredictor()
    for _ in range(128):
        predictor.learn(1000, 250, 10)
    for _ in range(64):
        predictor.learn(1000, 250, 1000)
    assert predictor.predict(1000, 0)[1] == 1000


def test_the_first_answer_is_believed_at_once() -> None:
    predictor = TokenPredictor()
    predictor.learn(1000, 250, 7)
    assert predictor.predict(1000, 0)[1] == 7


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))))
def test_a_prediction_is_never_outside_of_what_was_seen(seen: list[tuple[int, int, int]]) -> None:
    predictor = TokenPredictor()
    for body_bytes, inputs, outputs in seen:
        predictor.learn(body_bytes, inputs, outputs)
    inputs, outputs = predictor.predict(100, 0)
    assert inputs >= 1
    assert outputs <= max([FIRST_OUTPUT_TOKENS, *(one[2] for one in seen)])


@given(
    st.integers(0, 300),
    st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6)),
        max_size=200,
    ),
)
def test_it_learns_what_the_twin_does(first: int, seen: list[tuple[int, int, int]]) -> None:
    predictor, twin = TokenPredictor(first), twins.TokenPredictor(first)
    for number, one in enumerate(seen):
        predictor.learn(*one)
        twin.learn(*one)
        for most in (0, number):
            found, expected = predictor.predict(1000, most), twin.predict(1000, most)
            assert abs(found[0] - expected[0]) <= 1  # some machines multiply and add at once
            assert found[1] == expected[1]
