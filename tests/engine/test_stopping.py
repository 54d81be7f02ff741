"""Why a run ends, in words and as an exit code."""

from __future__ import annotations

import errno
import signal

import pytest

from penstock import errors
from penstock.engine import stopping
from penstock.engine.messages import Fatal
from penstock.job import Job

JOB = Job(base_url="http://gpu:8000/v1")


def test_only_a_run_whose_every_row_ended_is_complete() -> None:
    assert stopping.complete().complete
    assert not stopping.interrupted(signal.SIGINT).complete
    for why in (
        stopping.fatal_verdict(Fatal("auth", "", 401), "api", JOB),
        stopping.failures(100, 60, "50%"),
        stopping.disk_failed("no space"),
        stopping.crash_loop(""),
        stopping.no_process(OSError(errno.EAGAIN, "try again")),
        stopping.input_failed(errors.InputError("gone")),
    ):
        assert not why.complete
        assert why.message
        assert why.next_step


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_gives_the_exit_code_that_shells_give(number: signal.Signals, code: int) -> None:
    assert stopping.interrupted(number).exit_code == code


def test_a_fatal_verdict_says_who_refuses_why_and_what_to_change() -> None:
    why = stopping.fatal_verdict(
        Fatal("auth", "Incorrect API key provided", 401), "api.example", JOB
    )
    assert why.exit_code == errors.EXIT_PROVIDER
    assert why.message == (
        "api.example refuses for good, auth (HTTP 401): Incorrect API key provided"
    )
    assert "--api-key-env" in why.next_step


def test_a_fatal_verdict_without_an_answer_has_no_status_and_an_unknown_class_still_a_hint() -> (
    None
):
    why = stopping.fatal_verdict(Fatal("tls", "", 0), "api.example", JOB)
    assert why.message == "api.example refuses for good, tls"
    assert "--ca-file" in why.next_step
    assert stopping.fatal_verdict(Fatal("odd", "", 0), "api", JOB).next_step


@pytest.mark.parametrize("error_class", ["not_found", "model"])
def test_a_404_from_a_server_s_root_names_the_url_that_is_likely(error_class: str) -> None:
    """An OpenAI client's base URL ends in /v1; many give the server's alone."""
    fatal = Fatal(error_class, "Not Found", 404)
    for url in ("http://gpu:8000", "http://gpu:8000/"):
        why = stopping.fatal_verdict(fatal, "gpu:8000", Job(base_url=url))
        assert why.next_step.endswith("http://gpu:8000/v1")
    assert "http" not in stopping.fatal_verdict(fatal, "gpu:8000", JOB).next_step
    other = Job(base_url="https://name.openai.azure.com", provider="azure")
    assert "/v1" not in stopping.fatal_verdict(fatal, "name", other).next_step


@pytest.mark.parametrize(
    ("ended", "failed", "stops"),
    [(99, 99, False), (100, 50, False), (100, 51, True), (1000, 0, False)],
)
def test_failures_stop_a_run_only_above_the_share_and_after_enough_records(
    ended: int, failed: int, stops: bool
) -> None:
    assert stopping.too_many_failed(ended, failed, 0.5) is stops


def test_with_a_share_of_zero_any_failure_stops_and_with_one_none_does() -> None:
    assert stopping.too_many_failed(100, 1, 0.0)
    assert not stopping.too_many_failed(100, 100, 1.0)


def test_a_crash_loop_shows_the_last_words_of_a_worker() -> None:
    assert "ImportError: no such thing" in stopping.crash_loop("ImportError: no such thing").message
    assert "(nothing)" in stopping.crash_loop("").message


def test_an_input_that_fails_keeps_its_own_exit_code_and_advice() -> None:
    why = stopping.input_failed(errors.InputError("tickets.jsonl: changed", "Bring it back."))
    assert (why.exit_code, why.message, why.next_step) == (
        errors.EXIT_USAGE,
        "tickets.jsonl: changed",
        "Bring it back.",
    )
