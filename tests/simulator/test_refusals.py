from __future__ import annotations

import json

from penstock.simulator import refusals
from penstock.simulator.limits import Throttle
from penstock.simulator.voices import OPENAI, refusal_answer


def test_a_throttle_s_words_name_the_limit_and_its_headers_the_wait() -> None:
    throttle = Throttle("tpm", "tokens", 1000, 990, 20, 2_500_000_000)
    refusal = refusals.throttled(throttle, "some-model")
    answer = refusal_answer(refusal, OPENAI)
    error = json.loads(answer.pieces[0][1])["error"]
    assert error["code"] == "rate_limit_exceeded" and error["type"] == "tokens"
    assert "some-model" in error["message"]
    assert "TPM: Limit 1000, Used 990, Requested 20" in error["message"]
    assert answer.headers == "retry-after: 3\r\nretry-after-ms: 2500\r\n"


def test_an_answer_has_the_headers_of_all_answers_and_the_refusal_s_own() -> None:
    answer = refusal_answer(refusals.wrong_key("sk-canary"), OPENAI, "x-request-id: 1\r\n", 0.5)
    assert answer.status == 401
    assert answer.headers.startswith("x-request-id: 1\r\n") and "sk-canary" in answer.headers
    assert answer.pieces[0][0] == 0.5


def test_slow_down_and_no_money_are_both_429_and_told_apart_by_their_code() -> None:
    poor, hasty = refusals.quota_gone(), refusals.throttled_at_random(1)
    assert (poor.status, hasty.status) == (429, 429)
    assert (poor.code, hasty.code) == ("insufficient_quota", "rate_limit_exceeded")
