from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.conftest import Penstock
from ledger.ledger_run import json_lines
from penstock.simulator import Settings, SimulatorProcess, spawn

ROWS = 300


@pytest.fixture(scope="module")
def provider() -> Iterator[SimulatorProcess]:
    with spawn(Settings()) as simulator:
        yield simulator


@pytest.fixture
def job(provider: SimulatorProcess, tmp_path: Path) -> list[str]:
    provider.reset()
    rows = [{"text": "word " * (5 + row % 40)} for row in range(ROWS)]
    return [
        str(json_lines(tmp_path / "in.jsonl", rows)),
        *("-o", str(tmp_path / "out.jsonl"), "--base-url", provider.base_url),
        *("--model", "m", "--prompt", "Say: {{ text }}", "--rpm", "6000"),
        *("--workers", "1", "--metrics-port", "off", "--progress", "off"),
    ]


def test_a_plan_tells_rows_tokens_time_and_what_limits_and_sends_nothing(
    penstock: Penstock, job: list[str], provider: SimulatorProcess, tmp_path: Path
) -> None:
    found = penstock("plan", *job, "--samples", 2)
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("300 rows in ") and "--rpm 6,000: 3 s" in found.out
    assert "300 requests from all over the input" in found.out
    assert found.out.count("Say: word") == 2 and "--limit 20" in found.out
    assert provider.stats()["received"] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_pilot_is_kept_by_the_whole_run_and_makes_the_plan_sharper(
    penstock: Penstock, job: list[str], provider: SimulatorProcess, tmp_path: Path
) -> None:
    guess = penstock("plan", *job, "--json").json
    assert penstock("run", *job, "--limit", 40).code == 0
    plan = penstock("plan", *job, "--json").json
    assert (plan["rows"], plan["done"], plan["forecast"]["measured"]) == (ROWS, 40, 40)
    assert guess["forecast"]["measured"] == 0
    for kind in ("input_tokens", "output_tokens"):
        sharp, dull = plan["forecast"][kind], guess["forecast"][kind]
        assert sharp["high"] / sharp["low"] < dull["high"] / dull["low"] / 1.5

    whole = penstock("run", *job, "--json").json
    assert provider.stats()["received"] == ROWS and whole["resumed"] == 40
    told = whole["plan"]
    assert (told["rows"], told["measured"]) == (ROWS - 40, 40)
    came = told["actual"]
    assert plan["forecast"]["input_tokens"]["low"] * 0.95 < came["input_tokens"]
    assert came["input_tokens"] < plan["forecast"]["input_tokens"]["high"] * 1.05
    assert told["predicted"]["input_tokens"] == pytest.approx(came["input_tokens"], rel=0.25)
    assert told["predicted"]["seconds"] > 2 and came["seconds"] > 2

    done = penstock("plan", *job)
    assert done.out.startswith("Nothing is left to be asked") and "300 of them done" in done.out


def test_the_run_of_another_job_is_said_and_not_looked_at(
    penstock: Penstock, job: list[str]
) -> None:
    assert penstock("run", *job, "--limit", 10).code == 0
    found = penstock("plan", *job, "--param", "max_tokens=7")
    assert "is not looked at: it is of another job: param" in found.out
    assert "to 2.10k) out" in found.out  # no answer is longer than max_tokens


def test_answers_that_were_simulated_are_none_and_make_way_for_bought_ones(
    penstock: Penstock, job: list[str], provider: SimulatorProcess
) -> None:
    assert penstock("run", *job, "--simulate", "--limit", 2).code in (0, 3)
    found = penstock("plan", *job)
    assert found.out.startswith("300 rows in ") and "not looked at" not in found.out
    assert penstock("run", *job, "--limit", 2).code == 0
    assert provider.stats()["received"] == 2


def test_rows_that_make_no_request_are_counted(penstock: Penstock, job: list[str]) -> None:
    json_lines(Path(job[0]), [{"text": "a"}, {"text": None}] * 50)
    found = penstock("plan", *job)
    assert "50 records make none" in found.out and "requests  50\n" in found.out


def test_a_job_that_can_not_work_is_refused(penstock: Penstock, job: list[str]) -> None:
    assert penstock("plan").code == 2
    assert "there is no column 'txt'" in penstock("plan", *job, "--prompt", "{{ txt }}").err
