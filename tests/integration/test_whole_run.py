"""A whole run through a provider on a bad day."""

from __future__ import annotations

from typing import Any

from conftest import Simulate
from integration.conftest import MakePlace
from integration.place import Place
from penstock.simulator import SimulatorProcess

ROWS = 3000
A_BAD_DAY = {
    "throttle": 0.01,
    "retry_after_seconds": 0.2,
    "html_500": 0.02,
    "truncated": 0.01,
    "disconnect": 0.01,
    "empty": 0.005,
    "reject": 0.005,
}


def test_every_row_is_answered_or_refused_and_no_answer_is_bought_twice(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(ROWS), simulate(**A_BAD_DAY)
    ended = run.run(provider.base_url, workers=2)
    assert ended.code == 3, ended.stderr
    seen = provider.stats()
    refused = set(seen["rejected_texts"])
    assert 0 < len(refused) == seen["rejected"]
    run.check_answers(dead=[n for n, row in enumerate(run.rows) if row["text"] in refused])
    letters = run.dead_letters()
    assert [one["text"] for one in letters] == [
        row["text"] for row in run.rows if row["text"] in refused
    ]
    assert {one["_penstock"]["error_class"] for one in letters} == {"invalid_request"}
    assert seen["asked_again"] == seen["duplicates"] == 0
    assert seen["answered_bodies"] == ROWS - len(refused)
    assert all(seen["faults"][name] for name in A_BAD_DAY if name in seen["faults"])
    check_figures(ended.summary, seen)
    check_again(run, provider)


def check_figures(summary: dict[str, Any], seen: dict[str, Any]) -> None:
    """The run's own figures against what the provider saw."""
    assert (summary["rows_in"], summary["pending"]) == (ROWS, 0)
    assert summary["succeeded"] == seen["answered_bodies"]
    assert summary["failed"] == seen["rejected"]
    assert summary["failed_by_class"]["invalid_request"]["count"] == seen["rejected"]
    tokens = summary["tokens"]
    assert tokens["uncached_input"] + tokens["cached_input"] == seen["prompt_tokens"]
    assert tokens["visible_output"] + tokens["reasoning"] == seen["completion_tokens"]
    assert summary["throttles"] == seen["faults"]["throttle"]


def check_again(run: Place, provider: SimulatorProcess) -> None:
    """The same command on a complete run sends nothing, and exports anew."""
    first = run.output.read_bytes()
    run.output.unlink()
    provider.reset()
    assert run.run(provider.base_url, workers=2).code == 3
    assert run.output.read_bytes() == first
    assert provider.stats()["received"] == 0


def test_a_fresh_run_replaces_the_output_of_the_run_that_it_moved_aside(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(50), simulate()
    assert run.run(provider.base_url).code == 0
    again = run.run(provider.base_url, fresh=True, yes=True, prompt="again: {{ text }}")
    assert again.code == 0, again.stderr
    assert run.results()[7]["output"].startswith(f"echo: again: {run.rows[7]['text']}")
    aside = run.run_dir.with_name(run.run_dir.name + ".1")
    kept = run.penstock("export", aside, "-o", run.folder / "kept.jsonl")
    assert kept.code == 0, kept.stderr
