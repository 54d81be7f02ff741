from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from penstock.observe.events import CheckpointWritten, EndpointDown, Stopped, Warned
from penstock.observe.log import Log
from penstock.observe.redactor import Redactor
from penstock.observe.use import Use

DOWN = EndpointDown(endpoint="http://h/v1", cause="connect refused")


def a_log(secrets: tuple[str, ...] = (), **options: object) -> tuple[Log, list[bytes], list[str]]:
    lines: list[bytes] = []
    told: list[str] = []
    log = Log(
        lines.append,
        Redactor(secrets),
        tell=told.append,
        clock=lambda: 1_800_000_000.25,
        **options,  # type: ignore[arg-type]
    )
    return log, lines, told


def test_an_event_is_one_line_of_json_with_time_level_and_name_first() -> None:
    log, lines, _ = a_log()
    log.emit(DOWN)
    assert lines == [
        b'{"ts":"2027-01-15T08:00:00.250Z","level":"warning","event":"endpoint_down",'
        b'"endpoint":"http://h/v1","cause":"connect refused"}\n'
    ]


def test_warnings_are_told_and_the_rest_only_logged() -> None:
    log, lines, told = a_log()
    log.emit(CheckpointWritten(rows_done=1, low_water=1, write_seconds=0.1, use=Use()))
    log.emit(DOWN)
    assert len(lines) == 2
    assert told == [f"warning: {DOWN.text}"]


def test_warnings_are_told_as_json_where_that_is_wanted() -> None:
    log, lines, told = a_log(tell_format="json")
    log.emit(DOWN)
    assert told == [lines[0].decode().rstrip("\n")]


def test_a_log_without_anyone_to_tell_is_only_written() -> None:
    lines: list[bytes] = []
    Log(lines.append, Redactor([])).emit(DOWN)
    assert json.loads(lines[0])["event"] == "endpoint_down"


keys = st.text('abcXYZ019-_./+="\\é', min_size=8, max_size=40).map("sk-".__add__)


@given(keys, st.sampled_from(["{}", '{{"error": "{}"}}', "a {} b\nc {}"]))
def test_no_key_is_in_any_line_however_a_server_echoes_it(key: str, echo: str) -> None:
    log, lines, told = a_log((key,))
    for message in (echo.format(key, key), json.dumps({"error": key}), json.dumps(json.dumps(key))):
        log.emit(Warned(message=message))
        log.emit(Stopped(exit_code=4, message=message, succeeded=0, failed=0, pending=1))
    written = b"".join(lines).decode()
    for text in (written, *told):
        assert "sk-" not in text
        assert "***" in text
