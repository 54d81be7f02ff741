from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.conftest import Penstock
from ledger.ledger_run import json_lines
from penstock.simulator import Settings, SimulatorProcess, spawn


@pytest.fixture(scope="module")
def provider() -> Iterator[SimulatorProcess]:
    with spawn(Settings()) as simulator:
        yield simulator


@pytest.fixture
def job(provider: SimulatorProcess, ten_rows: Path) -> list[str]:
    provider.reset()
    return [
        *("try", str(ten_rows), "--base-url", provider.base_url),
        *("--model", "m", "--prompt", "Say: {{ text }}"),
    ]


def test_prompts_are_shown_beside_their_answers_and_nothing_is_kept(
    penstock: Penstock, job: list[str], provider: SimulatorProcess, tmp_path: Path
) -> None:
    rest = ("-o", tmp_path / "out.jsonl", "--rpm", 6000, "--fresh")
    found = penstock(*job, "-n", 3, *rest)
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert lines[0].startswith("row 0 (r-0) · ") and " in, " in lines[0]
    assert lines[1:5:2] == ["  prompt", "  answer"] and lines[2] == "    Say: text 0"
    assert lines[4].startswith("    echo: Say: text 0")
    assert lines[-1].startswith("3 asked, 3 answered · ")
    assert provider.stats()["received"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_json_is_one_line_and_rows_may_come_from_all_over(
    penstock: Penstock, job: list[str]
) -> None:
    found = penstock(*job, "-n", 4, "--spread", "--json").json
    rows = [one["row"] for one in found["records"]]
    assert len(rows) == 4 and rows == sorted(rows) and rows[-1] > 4
    assert found["summary"]["asked"] == found["summary"]["succeeded"] == 4
    one = found["records"][1]
    assert one["prompt"] == f"Say: text {one['row']}" and one["id"] == f"r-{one['row']}"
    assert one["output"].startswith("echo: ") and one["latency_seconds"] > 0
    assert found["summary"]["output_tokens"] == sum(r["output_tokens"] for r in found["records"])


def test_failures_are_shown_with_the_providers_words_and_asked_once(
    penstock: Penstock, job: list[str]
) -> None:
    with spawn(Settings(reject=1.0)) as refusing:
        found = penstock(*job, "--base-url", refusing.base_url, "-n", 2)
        assert refusing.stats()["received"] == 2
    assert found.code == 3
    assert found.out.startswith("row 0 (r-0) · failed: HTTP 400, invalid_request")
    assert "2 asked, 0 answered" in found.out


def test_a_key_that_is_refused_is_exit_4_and_a_row_without_a_request_is_told(
    penstock: Penstock, job: list[str], tmp_path: Path
) -> None:
    with spawn(Settings(key="right")) as locked:
        refused = penstock(*job, "--base-url", locked.base_url)
    assert refused.code == 4 and refused.out.splitlines()[-1].startswith("Check the key")
    json_lines(tmp_path / "in.jsonl", [{"text": None}, {"text": "b"}])
    found = penstock(*job)
    assert found.code == 3 and "row 0 · no request can be made: " in found.out
    assert "2 asked, 1 answered" in found.out


def test_a_job_that_can_not_work_is_refused_before_a_request(
    penstock: Penstock, job: list[str], provider: SimulatorProcess
) -> None:
    assert penstock("try").code == 2
    assert "there is no column 'txt'" in penstock(*job, "--prompt", "{{ txt }}").err
    assert penstock(*job, "-n", 0).code == 2
    assert provider.stats()["received"] == 0


def test_an_answer_that_would_not_count_says_why(penstock: Penstock, job: list[str]) -> None:
    schema = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'
    with spawn(Settings(invalid_output=1.0)) as odd:
        found = penstock(*job, "--base-url", odd.base_url, "-n", 2, "--schema", schema)
        assert found.out.startswith("row 0 (r-0) · invalid_output: ")
        assert "2 asked, 0 answered" in found.out
        [one, _] = penstock(
            *job, "--base-url", odd.base_url, "-n", 2, "--schema", schema, "--json"
        ).json["records"]
    assert (one["outcome"], one["error_class"]) == ("failed", "invalid_output")
    assert "is not of type" in one["error_message"] and one["output"]
