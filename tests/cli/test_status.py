from __future__ import annotations

import msgspec

from cli.conftest import Penstock
from ledger.ledger_run import Run
from penstock.cli.status import headline, next_steps, sections
from penstock.cli.survey import Redo, Status

STOPPED = Status(
    run_dir="a b.run",
    run_id="5eed",
    state="stopped",
    pid=None,
    epoch=2,
    created_at="2026-03-01T12:00:00Z",
    rows_in=1000,
    succeeded=400,
    failed=3,
    pending=597,
    failed_by_class={"server_error": 1, "timeout": 2},
    duplicates=1,
    reused=0,
    deduplicated=0,
    tokens={"uncached_input": 10, "visible_output": 20},
    cost_usd=1.5,
    budget_usd=2.0,
    checkpoint_age_seconds=12.0,
    torn_segments=1,
    redo=None,
    output="a b",
    output_bytes=None,
    output_is_ours=False,
    message="quota is\x1b gone",
    next_step="Raise it.",
    resume_command="penstock run in.jsonl -o 'a b'",
)
COMPLETE = msgspec.structs.replace(
    STOPPED,
    state="complete",
    pending=0,
    succeeded=997,
    output_bytes=1000,
    output_is_ours=True,
    message="",
    next_step="",
    torn_segments=0,
    duplicates=0,
    reused=0,
    deduplicated=0,
)


def told(found: Status) -> dict[str, list[str]]:
    return dict(sections(found))


def test_a_stopped_run_says_why_and_how_to_resume() -> None:
    assert headline(STOPPED) == "a b.run: stopped"
    shown = told(STOPPED)
    assert shown["rows in"] == ["1,000 = 400 succeeded + 3 failed + 597 pending (1 asked twice)"]
    assert shown["failed"] == ["server_error 1", "timeout 2"]
    assert shown["cost"] == ["$1.50 of $2.00"]
    assert shown["checkpoint"] == ["12 s ago"]
    assert shown["segments"] == ["1 with a torn end, which the next start mends"]
    assert shown["output"] == ["a b, not there yet"]
    assert shown["why"] == ["quota is\N{REPLACEMENT CHARACTER} gone"]
    assert shown["what next"] == [
        "Raise it.",
        "The same command resumes it:",
        "  penstock run in.jsonl -o 'a b'",
        "To read what is there already:",
        "  penstock export 'a b.run' -o FILE --partial",
    ]


def test_a_run_that_left_no_command_says_what_resumes_it() -> None:
    found = msgspec.structs.replace(STOPPED, resume_command="", rows_in=None, pending=None)
    assert told(found)["rows in"][0].startswith("? = 400 succeeded + 3 failed + pending")
    assert "The command that began it resumes it." in next_steps(found)


def test_a_complete_run_offers_to_ask_for_dead_letters_again() -> None:
    assert headline(COMPLETE) == "a b.run: complete, with dead letters"
    assert told(COMPLETE)["output"] == ["a b · 1.00 kB"]
    assert list(next_steps(COMPLETE)) == [
        "To ask for dead letters again:",
        "  penstock redo 'a b.run' --only server_error",
        "  penstock redo 'a b.run' --only timeout",
    ]
    without = msgspec.structs.replace(COMPLETE, failed=0, failed_by_class={}, succeeded=1000)
    assert headline(without) == "a b.run: complete"
    assert "what next" not in told(without) and "failed" not in told(without)


def test_a_complete_run_without_its_output_says_how_to_get_it() -> None:
    found = msgspec.structs.replace(COMPLETE, output_bytes=None, output_is_ours=False)
    assert told(found)["output"] == ["a b, not there"]
    assert "The same command writes the output anew:" in next_steps(found)
    another = msgspec.structs.replace(COMPLETE, output_is_ours=False)
    assert told(another)["output"] == ["a b, not as this run made it"]


def test_a_run_under_way_names_its_process() -> None:
    found = msgspec.structs.replace(STOPPED, state="running", pid=42, message="", next_step="")
    assert headline(found) == "a b.run: running (pid 42)"
    assert next(next_steps(found)) == "To read what is there already:"
    orphaned = msgspec.structs.replace(found, pid=None)
    assert headline(orphaned) == "a b.run: running (its workers; the supervisor is gone)"


def test_an_unfinished_redo_says_how_far_it_is() -> None:
    found = msgspec.structs.replace(STOPPED, redo=Redo(2, "2026-03-02", rows=5, left=3))
    assert told(found)["redo"] == ["2, begun 2026-03-02: 3 of 5 rows are left"]


def test_the_command_prints_text_or_one_line_of_json(penstock: Penstock, stopped: Run) -> None:
    path = stopped.run_dir.path
    text = penstock("status", path)
    assert (text.code, text.err) == (0, "")
    assert text.out.startswith(f"{path}: stopped\n\nrun ")
    assert penstock("status", path, "--json").json["pending"] == 4
    refused = penstock("status", stopped.path)
    assert (refused.code, refused.out) == (2, "")
