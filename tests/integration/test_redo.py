"""Asking dead letters again, once the provider got better."""

from __future__ import annotations

import json
import signal

from conftest import Simulate
from integration.conftest import MakePlace
from integration.place import PENSTOCK, Live

ROWS = 300
QUIET = ("--progress", "lines", "--metrics-port", "off", "--json")


def test_a_redo_answers_what_failed_and_merges_it_into_the_output(
    place: MakePlace, simulate: Simulate
) -> None:
    run, bad = place(ROWS), simulate(reject=0.1)
    assert run.run(bad.base_url).code == 3
    failed = [one["row"] for one in run.results() if one["outcome"] == "failed"]
    good = simulate()
    ended = run.penstock(
        "redo", run.run_dir, "--only", "invalid_request", "--base-url", good.base_url, *QUIET
    )
    assert ended.code == 0, ended.stderr
    assert good.stats()["received"] == len(failed) > 10
    run.check_answers()
    assert [one["row"] for one in run.results() if one["generation"] == 1] == failed
    assert run.dead_letters() == []
    assert ended.summary["succeeded"] == ROWS


def test_a_redo_that_fails_again_keeps_every_row_and_an_earlier_success(
    place: MakePlace, simulate: Simulate
) -> None:
    run, bad = place(ROWS), simulate(reject=0.1)
    assert run.run(bad.base_url).code == 3
    before = run.results()
    ended = run.penstock("redo", run.run_dir, *QUIET)
    assert ended.code == 3, ended.stderr
    after = run.results()
    assert [one["outcome"] for one in after] == [one["outcome"] for one in before]
    assert {one["generation"] for one in after if one["outcome"] == "failed"} == {1}


def test_an_interrupted_redo_is_resumed_by_the_same_redo_and_by_run(
    place: MakePlace, simulate: Simulate
) -> None:
    run, bad = place(ROWS), simulate(reject=0.3)
    assert run.run(bad.base_url).code == 3
    failed = [one["row"] for one in run.results() if one["outcome"] == "failed"]
    slow = simulate(ttft_seconds=0.2, ttft_spread=0.0)
    redo = [PENSTOCK, "redo", str(run.run_dir), "--base-url", slow.base_url, *QUIET]
    redo += ["--max-concurrency", "4"]
    for command in (redo, run.command(slow.base_url, max_concurrency=4)):
        answered = slow.stats()["answered_bodies"]
        with Live(command, run.environment, run.run_dir, run.folder) as live:
            live.until(lambda: slow.stats()["answered_bodies"] > answered + 10)  # noqa: B023
            live.signal(signal.SIGINT)
            ended = live.wait()
        assert ended.code == 130, ended.stderr
        summary = json.loads((run.run_dir / "summary.json").read_bytes())
        assert summary["rows_in"] == summary["succeeded"] + summary["failed"] == ROWS
    assert "redo 1" in ended.stderr
    quick = simulate()
    ended = run.run(quick.base_url)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert slow.stats()["received"] + quick.stats()["received"] == len(failed)


def test_a_redo_may_ask_in_other_words_and_a_redo_of_nothing_is_refused(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(300), simulate(reject=0.05)
    assert run.run(provider.base_url).code == 3
    failed = [one["row"] for one in run.results() if one["outcome"] == "failed"]
    good = simulate()
    command = ("redo", run.run_dir, "--base-url", good.base_url, *QUIET)
    assert run.penstock(*command, "--only", "timeout").code == 2
    assert run.penstock(*command, "--prompt", "again: {{ text }}").code == 0
    results = run.results()
    for row in failed:
        assert results[row]["output"].startswith(f"echo: again: {run.rows[row]['text']}")
    ended = run.penstock(*command)
    assert ended.code == 2
    assert "nothing to redo" in ended.stderr
    assert good.stats()["received"] == len(failed)


KILLED_IN_THE_EXPORT = """
import os, pathlib, signal, sys
if "redo" in sys.orig_argv and not pathlib.Path({mark!r}).exists():
    from penstock.ledger.output_file import OutputFile
    def die(self):
        pathlib.Path({mark!r}).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    OutputFile.publish = die
"""


def test_a_redo_that_died_in_its_export_is_carried_on_by_the_same_redo(
    place: MakePlace, simulate: Simulate
) -> None:
    run, bad, good = place(ROWS), simulate(reject=0.1), simulate()
    assert run.run(bad.base_url).code == 3
    run.patched(KILLED_IN_THE_EXPORT.format(mark=str(run.folder / "died")))
    command = ("redo", run.run_dir, "--base-url", good.base_url, *QUIET)
    assert run.penstock(*command).code == -signal.SIGKILL
    asked = good.stats()["received"]
    ended = run.penstock(*command)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert good.stats()["received"] == asked
    ended = run.penstock(*command)
    assert ended.code == 2
    assert "nothing to redo" in ended.stderr


def test_answers_that_were_cut_or_are_no_good_are_asked_again_and_merged(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(40), simulate()
    assert run.run(provider.base_url, param={"max_tokens": 12}).code == 0
    cut = [one["row"] for one in run.results() if one["truncated"]]
    assert len(cut) > 5
    asked = provider.stats()["received"]
    command = ("redo", run.run_dir, *QUIET)
    ended = run.penstock(*command, "--only", "truncated", "--param", "max_tokens=4000")
    assert ended.code == 0, ended.stderr
    assert provider.stats()["received"] == asked + len(cut)
    assert [one["row"] for one in run.results() if one["generation"] == 1] == cut
    assert not any(one["truncated"] for one in run.results())
    run.check_answers()

    bad = run.folder / "bad_ids.txt"
    bad.write_text("t-3\nt-17\n")
    ended = run.penstock(*command, "--rows", bad, "--prompt", "again: {{ text }}")
    assert ended.code == 0, ended.stderr
    results = run.results()
    assert [one["row"] for one in results if one["generation"] == 2] == [3, 17]
    assert all(results[row]["output"].startswith("echo: again: ") for row in (3, 17))
    assert (ended.summary["rows_in"], ended.summary["succeeded"]) == (40, 40)
