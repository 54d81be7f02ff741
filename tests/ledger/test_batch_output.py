"""The output as OpenAI batch output lines."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from penstock.ledger.batch_output import BatchOutput, is_batch_output
from penstock.ledger.schema import batch_of
from penstock.record import FAILED, SUCCEEDED, Result


def line_of(result: Result, prefix: str = "") -> dict[str, Any]:
    sink = io.BytesIO()
    output = BatchOutput(sink, "9f", prefix)
    batch = batch_of([result])
    output.write(batch.rename_columns([prefix + name for name in batch.schema.names]))
    output.close()
    (line,) = sink.getvalue().splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


ANSWER = Result(
    row=7,
    id="r-7",
    outcome=SUCCEEDED,
    http_status=200,
    request_id="req_1",
    response='{\n "choices": []\n}',
)


def test_an_answer_stands_in_the_line_as_json_on_one_line() -> None:
    assert line_of(ANSWER) == {
        "id": "batch_req_9f_7",
        "custom_id": "r-7",
        "response": {"status_code": 200, "request_id": "req_1", "body": {"choices": []}},
        "error": None,
    }


def test_the_columns_are_found_under_a_prefix() -> None:
    assert line_of(ANSWER, prefix="p_") == line_of(ANSWER)


def test_a_refusal_is_told_by_its_status() -> None:
    refused = Result(
        row=0,
        outcome=FAILED,
        http_status=400,
        error_class="invalid_request",
        response='{"error":{"code":"x"}}',
    )
    line = line_of(refused)
    assert line["response"]["status_code"] == 400
    assert line["response"]["body"] == {"error": {"code": "x"}}
    assert line["error"] is None


def test_no_answer_is_an_error_without_a_response() -> None:
    lost = Result(row=0, outcome=FAILED, error_class="timeout", error_message="no answer")
    line = line_of(lost)
    assert line["response"] is None
    assert line["error"] == {"code": "timeout", "message": "no answer"}


def test_a_success_whose_body_was_cut_is_an_error_too() -> None:
    cut = Result(
        row=0, outcome=FAILED, http_status=200, error_class="bad_response", response='{"choi'
    )
    line = line_of(cut)
    assert line["response"]["body"] == '{"choi'
    assert line["error"]["code"] == "bad_response"


def test_a_page_of_html_is_a_string() -> None:
    page = Result(
        row=0, outcome=FAILED, http_status=502, error_class="server_error", response="<html>\n</p>"
    )
    assert line_of(page)["response"]["body"] == "<html>\n</p>"


def test_json_with_something_after_it_is_a_string() -> None:
    odd = Result(row=0, outcome=FAILED, http_status=500, response='{"a":1} {"b":2}')
    assert line_of(odd)["response"]["body"] == '{"a":1} {"b":2}'


def test_only_batch_lines_to_json_lines_are_batch_output() -> None:
    assert is_batch_output(Path("o.jsonl"), batch_lines=True)
    assert not is_batch_output(Path("o.jsonl"), batch_lines=False)
    assert not is_batch_output(Path("o.parquet"), batch_lines=True)


def test_each_row_is_a_line_of_its_own() -> None:
    sink = io.BytesIO()
    BatchOutput(sink, "9f").write(batch_of([ANSWER, ANSWER]))
    assert len(sink.getvalue().splitlines()) == 2
