"""The classifier: the most exact rule wins."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import twins
from penstock import _core
from penstock._core import Classifier, Verdict

RULES: list[tuple[int, str | None, str, str]] = [
    (200, None, "succeeded", ""),
    (429, None, "throttled", "rate_limit"),
    (429, "insufficient_quota", "fatal", "quota"),
    (429, "requests", "throttled", "requests"),
    (0, "content_filter", "rejected", "content_filter"),
    (0, "server_error", "retry", "server_error"),
    (400, None, "rejected", "bad_request"),
    (500, None, "retry", "server_error"),
    (-3, None, "retry", "connect"),
]


@pytest.fixture(params=[_core, twins], ids=["core", "twin"])
def classifier(request: pytest.FixtureRequest) -> Any:
    return request.param.Classifier(RULES)


@pytest.mark.parametrize(
    ("attempt", "error_class"),
    [
        ((200,), ""),
        ((429,), "rate_limit"),
        ((429, "insufficient_quota", "requests"), "quota"),
        ((429, "other", "requests"), "requests"),
        ((429, "other", "other"), "rate_limit"),
        ((429, "content_filter"), "content_filter"),
        ((429, "content_filter", "requests"), "requests"),
        ((400, "server_error", "content_filter"), "server_error"),
        ((400, "insufficient_quota"), "bad_request"),
        ((422,), "bad_request"),
        ((503,), "server_error"),
        ((599, None, "content_filter"), "content_filter"),
        ((-3,), "connect"),
        ((-4,), "unknown"),
        ((302,), "unknown"),
    ],
)
def test_the_most_exact_rule_wins(classifier: Any, attempt: Any, error_class: str) -> None:
    assert classifier.classify(*attempt).error_class == error_class


def test_a_rule_for_any_status_is_the_last_resort() -> None:
    classifier = Classifier([(0, None, "rejected", "odd"), (500, None, "retry", "server_error")])
    assert classifier.classify(302).error_class == "odd"
    assert classifier.classify(502).error_class == "server_error"


keys = st.sampled_from(["a", "b", "c"])
statuses = st.sampled_from([0, -1, -2, 200, 400, 404, 429, 500, 503])
kinds = st.sampled_from(["succeeded", "retry", "throttled", "rejected", "fatal"])
tables = st.dictionaries(
    st.tuples(statuses, st.none() | keys), st.tuples(kinds, st.text(max_size=2))
)


@given(tables, statuses, st.none() | keys, st.none() | keys)
def test_the_core_answers_as_its_twin(
    table: dict[tuple[int, str | None], tuple[str, str]],
    status: int,
    code: str | None,
    kind: str | None,
) -> None:
    rules = [(*rule, *verdict) for rule, verdict in table.items()]
    core = Classifier(rules).classify(status, code, kind)
    twin = twins.Classifier(rules).classify(status, code, kind)
    assert (core.kind, core.error_class) == (twin.kind, twin.error_class)


def test_equal_verdicts_of_a_classifier_are_one_object() -> None:
    rules = [(0, "x", "retry", "server_error"), (500, None, "retry", "server_error")]
    classifier = Classifier(rules)
    assert classifier.classify(500) is classifier.classify(400, "x")
    assert classifier.classify(300) is classifier.classify(301)


def test_a_verdict_allocates_nothing() -> None:
    classifier, status = Classifier(RULES), 429
    verdict = classifier.classify(status, "insufficient_quota", "requests")
    before = sys.getallocatedblocks()
    kept = [verdict] * 1000
    for index in range(1000):
        kept[index] = classifier.classify(status, "insufficient_quota", "requests")
    assert sys.getallocatedblocks() - before < 20


def test_a_table_with_two_answers_is_refused(classifier: Any) -> None:
    with pytest.raises(ValueError):
        type(classifier)([(429, "a", "retry", "x"), (429, "a", "fatal", "x")])
    type(classifier)([(429, "a", "retry", "x"), (429, "a", "retry", "x")])


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'maybe' is no kind of verdict"):
        Classifier([(200, None, "maybe", "")])


def test_codes_that_are_no_text_are_refused() -> None:
    with pytest.raises(TypeError):
        Classifier(RULES).classify(429, 400)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Classifier(RULES).classify("429")  # type: ignore[arg-type]


def test_a_verdict_is_read_only_and_says_what_it_is() -> None:
    verdict = Verdict("fatal", "quota")
    assert repr(verdict) == "Verdict('fatal', 'quota')"
    with pytest.raises(AttributeError):
        verdict.kind = "retry"  # type: ignore[misc]
