"""Runs that can't start: said at once, with what is needed to mend it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Simulate
from integration.conftest import MakePlace
from integration.place import Place, text_rows

NOWHERE = "http://127.0.0.1:9/v1"

# As a worker would break: while it imports, and while it gets ready.
BROKEN = """
import sys
if "penstock.engine.worker" in sys.orig_argv:
    def broken(*arguments):
        raise RuntimeError("this machine has no flux capacitor")
    {deed}
"""
DEEDS = {
    "on import": "sys.modules['penstock.engine.work'] = None",
    "later": "import penstock.providers.provider as it; it.provider_for = broken",
}
WORDS = {"on import": "import of penstock.engine.work halted"}


@pytest.mark.parametrize("when", DEEDS)
def test_workers_that_can_t_start_end_the_run_with_their_own_traceback(
    place: MakePlace, when: str
) -> None:
    run = place(50)
    run.patched(BROKEN.format(deed=DEEDS[when]))
    ended = run.run(NOWHERE)
    assert ended.code == 6, ended.stderr
    assert WORDS.get(when, "no flux capacitor") in ended.stderr
    assert "Traceback" in ended.stderr
    assert (ended.summary["succeeded"], ended.summary["failed"]) == (0, 0)


def test_a_second_supervisor_is_refused_and_told_who_has_the_run(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(2000), simulate(ttft_seconds=0.5)
    with run.start(provider.base_url, max_concurrency=8) as live:
        live.until_running(1)
        second = run.run(provider.base_url, max_concurrency=8)
        assert second.code == 6, second.stderr
        assert str(live.process.pid) in second.stderr
        assert live.process.poll() is None


def test_an_input_that_changed_since_is_refused_by_name_and_one_that_grew_is_taken(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(60), simulate()
    assert run.run(provider.base_url).code == 0
    whole = run.input.read_text()
    run.input.write_text(whole.replace("text 5,", "TEXT 5,"))
    ended = run.run(provider.base_url)
    assert ended.code == 2, ended.stderr
    assert "in.jsonl" in ended.stderr
    run.rows += [{"id": "new", "text": "text 60, of the run"}]
    run.input.write_text(whole + json.dumps(run.rows[-1]) + "\n")
    provider.reset()
    ended = run.run(provider.base_url)
    assert ended.code == 0, ended.stderr
    assert provider.stats()["received"] == 1
    run.check_answers()


def test_an_output_in_the_way_is_refused_before_the_first_request(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(20), simulate()
    run.output.write_text("precious\n")
    ended = run.run(provider.base_url)
    assert ended.code == 2, ended.stderr
    assert "--overwrite" in ended.stderr
    assert run.output.read_text() == "precious\n"
    assert not run.run_dir.exists()
    assert provider.stats()["received"] == 0
    assert run.run(provider.base_url, overwrite=True).code == 0
    run.check_answers()


def test_a_job_that_changed_is_refused_and_what_is_free_to_change_is_not(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider, other = place(40), simulate(), simulate()
    assert run.run(provider.base_url, limit=20).code == 0
    ended = run.run(provider.base_url, prompt="other: {{ text }}")
    assert ended.code == 2, ended.stderr
    assert "prompt" in ended.stderr
    ended = run.run(other.base_url, workers=1, timeout=5, max_attempts=2, rps=1000)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert (provider.stats()["received"], other.stats()["received"]) == (20, 20)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prompt": "{{ txet }}"}, "txet"),
        ({"api_key_env": "NO_SUCH_KEY"}, "NO_SUCH_KEY"),
        ({"output": "no/such/folder/out.jsonl"}, "no/such/folder"),
    ],
)
def test_a_job_that_can_t_work_is_refused_and_leaves_nothing_behind(
    tmp_path: Path, options: dict[str, object], words: str
) -> None:
    run = Place(tmp_path, text_rows(5))
    ended = run.run(NOWHERE, **options)
    assert ended.code == 2, ended.stderr
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_too_many_failures_stop_the_run_which_then_resumes(
    place: MakePlace, simulate: Simulate
) -> None:
    rows = 1500
    run, bad = place(rows), simulate(reject=0.9, ttft_seconds=0.05)
    ended = run.run(bad.base_url, stop_failed="20%", rps=300)
    assert ended.code == 5, ended.stderr
    assert "--stop-failed" in ended.stderr
    failed = ended.summary["failed"]
    assert 20 < failed < rows
    assert ended.summary["pending"] > 0
    good = simulate()
    ended = run.run(good.base_url, stop_failed="100%")
    assert ended.code == 3, ended.stderr
    assert len(run.dead_letters()) == ended.summary["failed"] == failed
    assert good.stats()["received"] == ended.summary["rows_in"] - ended.summary["resumed"]
