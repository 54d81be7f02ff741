from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from cli.conftest import Penstock
from ledger.ledger_run import json_lines

JOB = ("--model", "m", "--prompt", "Say: {{ text }}")


def test_the_request_is_shown_as_it_would_be_sent_without_key_or_output(
    penstock: Penstock, ten_rows: Path
) -> None:
    found = penstock("render", ten_rows, "--row", 3, *JOB, "--param", "temperature=0")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("POST https://api.openai.com/v1/chat/completions\n")
    body = '{"model":"m","messages":[{"role":"user","content":"Say: text 3"}],"temperature":0}'
    assert found.out.endswith(f"Authorization: Bearer <redacted>\n\n{body}\n")


def test_the_first_row_is_rendered_where_none_is_named(penstock: Penstock, ten_rows: Path) -> None:
    assert "Say: text 0" in penstock("render", ten_rows, *JOB).out


def test_json_tells_row_and_request_in_one_line(penstock: Penstock, ten_rows: Path) -> None:
    fields = penstock("render", ten_rows, "--row", 3, *JOB, "--json").json
    assert (fields["row"], fields["id"], fields["where"]) == (3, "r-3", "in.jsonl:4")
    assert fields["body"]["messages"][0]["content"] == "Say: text 3"
    assert fields["headers"]["Authorization"] == "Bearer $OPENAI_API_KEY"


def test_the_command_line_of_a_run_can_be_used_as_it_is(
    penstock: Penstock, ten_rows: Path, tmp_path: Path
) -> None:
    rest = ("-o", tmp_path / "out.csv", "--rpm", 60, "--fresh", "--progress", "off", "--simulate")
    found = penstock("render", ten_rows, *JOB, *rest)
    assert found.code == 0 and found.out.startswith("POST http://simulator/v1/")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl"]
    assert "--rpm" not in penstock("render", "--help").out


def test_a_batch_line_is_shown_byte_for_byte(penstock: Penstock, tmp_path: Path) -> None:
    body = '{"model":"e",  "input":["a","b"]}'
    line = '{"custom_id":"x","method":"POST","url":"/v1/embeddings","body":' + body + "}\n"
    (tmp_path / "batch.jsonl").write_text(line)
    found = penstock("render", tmp_path / "batch.jsonl")
    assert found.out.startswith("POST https://api.openai.com/v1/embeddings\n")
    assert found.out.endswith(f"\n\n{body}\n")
    refused = penstock("render", tmp_path / "batch.jsonl", *JOB)
    assert refused.code == 2 and "OpenAI batch lines" in refused.err


def test_standard_input_is_read_as_far_as_the_row(
    penstock: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = io.TextIOWrapper(io.BytesIO(b'{"text":"a"}\n{"text":"b"}\n'))
    monkeypatch.setattr(sys, "stdin", given)
    assert "Say: b" in penstock("render", "-", "--row", 1, *JOB).out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--row", "10", *JOB], "row 10: the input ends before it"),
        (
            ["--model", "m", "--prompt", "{{ txt }}"],
            "there is no column 'txt'\nDid you mean 'text'?",
        ),
        (["--prompt", "{{ text }}"], "--model is not given"),
        (["--model", "m"], "neither --prompt nor --messages"),
        (["--row", "x"], "invalid value for '--row'"),
    ],
)
def test_what_can_not_be_rendered_says_why(
    penstock: Penstock, ten_rows: Path, arguments: list[str], says: str
) -> None:
    found = penstock("render", ten_rows, *arguments)
    assert (found.code, found.out) == (2, "") and says in found.err


def test_a_row_that_will_be_a_dead_letter_says_so(penstock: Penstock, tmp_path: Path) -> None:
    file = json_lines(tmp_path / "in.jsonl", [{"text": "a"}, {"text": None}])
    with file.open("a") as more:
        more.write("{broken\n")
    for row, says in ((1, "in.jsonl:2: "), (2, "in.jsonl:3: malformed JSON")):
        found = penstock("render", file, "--row", row, *JOB)
        assert (found.code, found.out) == (2, "")
        assert says in found.err and "It will be a dead letter." in found.err


def test_an_input_has_to_be_named(penstock: Penstock) -> None:
    found = penstock("render", *JOB)
    assert found.code == 2 and "there is no input" in found.err
