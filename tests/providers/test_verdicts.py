from __future__ import annotations

from typing import get_args

from penstock.providers.verdicts import (
    BAD_RESPONSE,
    ERROR_IN_200,
    REJECTED,
    THROTTLED,
    TRANSPORT,
    with_error_in_200,
)
from penstock.transport.failure import Kind


def test_every_kind_of_failure_has_a_number_of_its_own_below_zero() -> None:
    assert set(TRANSPORT) == set(get_args(Kind))
    assert len({*TRANSPORT.values(), BAD_RESPONSE, ERROR_IN_200}) == len(TRANSPORT) + 2
    assert max(*TRANSPORT.values(), BAD_RESPONSE, ERROR_IN_200) < 0


def test_an_error_in_a_200_follows_the_default_of_the_status_that_it_names() -> None:
    rules = [(429, None, THROTTLED, "rate_limit"), (200, None, "succeeded", "")]
    assert with_error_in_200(rules) == (*rules, (ERROR_IN_200, "429", THROTTLED, "rate_limit"))


def test_a_rule_for_a_key_says_nothing_of_errors_in_a_200() -> None:
    rules = [(404, "some_code", REJECTED, "not_found")]
    assert with_error_in_200(rules) == tuple(rules)
