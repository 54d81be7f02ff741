from __future__ import annotations

from penstock.providers.verdicts import (
    ERROR_IN_200,
    REJECTED,
    THROTTLED,
    TRANSPORT,
    with_error_in_200,
)
from penstock.transport.failure import STATUS_OF_KIND


def test_the_numbers_of_failures_are_those_of_the_transport() -> None:
    assert dict(STATUS_OF_KIND) == TRANSPORT


def test_an_error_in_a_200_follows_the_default_of_the_status_that_it_names() -> None:
    rules = [(429, None, THROTTLED, "rate_limit"), (200, None, "succeeded", "")]
    assert with_error_in_200(rules) == (*rules, (ERROR_IN_200, "429", THROTTLED, "rate_limit"))


def test_a_rule_for_a_key_says_nothing_of_errors_in_a_200() -> None:
    rules = [(404, "some_code", REJECTED, "not_found")]
    assert with_error_in_200(rules) == tuple(rules)
