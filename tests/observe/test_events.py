from __future__ import annotations

import re

import pytest

from penstock.observe import events
from penstock.observe.events import Event
from penstock.observe.use import Use

SAMPLES: list[tuple[Event, str]] = [
    (
        events.RunStarted(run_id="5eed", run_dir="out.run", epoch=2, resumed=10, total=1000),
        "run 5eed in out.run: 1,000 rows, 10 of them done",
    ),
    (events.WorkerStarted(worker=1, pid=77, slots=32), "worker 1 started (pid 77, 32 slots)"),
    (
        events.WorkerReplaced(worker=1, cause="killed by SIGKILL", rows_leased_again=512),
        "worker 1 killed by SIGKILL; replaced, 512 rows leased again",
    ),
    (
        events.EndpointDown(endpoint="http://h/v1", cause="connect refused"),
        "endpoint http://h/v1 is down: connect refused; probing until it answers",
    ),
    (
        events.EndpointUp(endpoint="http://h/v1", down_seconds=75.0),
        "endpoint http://h/v1 answers again, after 1:15",
    ),
    (
        events.EndpointPaused(endpoint="eu", seconds=60.0),
        "endpoint eu throttles: left alone for 1:00, others go on",
    ),
    (
        events.EndpointOut(
            endpoint="eu", cause="refuses for good, auth (HTTP 401)", next_step="Check the key"
        ),
        "endpoint eu refuses for good, auth (HTTP 401); it is asked no more, others go on. "
        "Check the key; the same command asks it again",
    ),
    (
        events.LimitsNamed(endpoint="h", limits={"requests_per_minute": 5000}),
        "endpoint h names its limits: 5,000 requests per minute",
    ),
    (
        events.Tuned(options={"rpm": 5000, "max_concurrency": 800}),
        "tuned: rpm 5,000, max-concurrency 800",
    ),
    (events.Tuned(options={"budget_usd": 750.0}), "tuned: budget-usd 750"),
    (events.Throttled(answers=40, seconds=10.0), "the provider throttled 40 times in 10 s"),
    (
        events.CheckpointWritten(rows_done=5000, low_water=4000, write_seconds=0.01, use=Use()),
        "checkpoint: 5,000 rows done",
    ),
    (
        events.RowQuarantined(row=9, cause="killed by SIGSEGV"),
        "row 9 is tried in a worker of its own: killed by SIGSEGV",
    ),
    (
        events.Draining(cause="SIGINT", in_flight=12, grace_seconds=25.0),
        "SIGINT: finishing 12 requests in flight, for at most 25 s",
    ),
    (
        events.Draining(cause="SIGINT", in_flight=1, grace_seconds=25.0),
        "SIGINT: finishing 1 request in flight, for at most 25 s",
    ),
    (events.Priced(words="m costs a lot"), "m costs a lot"),
    (events.Warned(message="the output is large"), "the output is large"),
    (
        events.Stopped(exit_code=4, message="bad key", succeeded=1, failed=0, pending=9),
        "bad key",
    ),
]


@pytest.mark.parametrize(("event", "text"), SAMPLES, ids=lambda one: getattr(one, "name", ""))
def test_an_event_is_a_sentence(event: Event, text: str) -> None:
    assert event.text == text


def test_every_kind_of_event_is_tried_here() -> None:
    assert {type(event) for event, _ in SAMPLES} == set(Event.__subclasses__())


def test_names_are_words_with_underscores() -> None:
    names = [event.name for event, _ in SAMPLES]
    assert "endpoint_down" in names
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names)


def test_no_event_has_a_field_that_the_log_needs_itself() -> None:
    for event, _ in SAMPLES:
        assert not {"ts", "level", "event"} & set(event.__struct_fields__)


def test_a_start_of_unknown_length_says_so() -> None:
    event = events.RunStarted(run_id="5eed", run_dir="d", epoch=1, resumed=0, total=None)
    assert event.text == "run 5eed in d: an unknown number of rows"


def test_an_end_without_a_message_names_its_exit_code() -> None:
    event = events.Stopped(exit_code=0, message="", succeeded=1, failed=0, pending=0)
    assert event.text == "ended with exit code 0"
