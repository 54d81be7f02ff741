from __future__ import annotations

import io

import pytest
from rich.console import Console

from observe.samples import a_report
from penstock.observe.report import Failure
from penstock.observe.table import html_table, plain_table, print_table

GOLDEN = """\
Complete, with 5 dead letters (exit 3)

rows in        1,000 = 995 succeeded + 5 failed
failed         invalid_request 3, such as row 17 (t-17): too long
                 penstock redo 'my run' --only invalid_request
               content_filter 2, such as row 99
                 penstock redo 'my run' --only content_filter
tokens         45,200 in (3,100 cached) · 12,100 out (900 reasoning)
time           1:42 · 9.78/s
requests       1,020 · 14 retries · 6 throttles
latency        p50 420 ms · p99 1.93 s
limits         600 requests/min, 97 % used
               concurrency 64, 12 % used
bottleneck     limited to 600 requests/min (82 % of slot time)
output         out.parquet · 1.23 MB
dead letters   out.parquet.failed.jsonl
run directory  my run"""


def printed(width: int, **changes: object) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_table(a_report(**changes), console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_table_as_text() -> None:
    assert plain_table(a_report()) == GOLDEN


def test_on_a_wide_terminal_it_is_the_same() -> None:
    assert printed(120) == GOLDEN + "\n"


def test_on_a_narrow_terminal_sentences_are_folded_between_words() -> None:
    lines = printed(60, output=None).splitlines()
    assert "tokens         45,200 in (3,100 cached) · 12,100 out (900" in lines
    assert "                 reasoning)" in lines


def test_paths_and_commands_are_never_folded() -> None:
    path = "a directory with spaces/" * 5 + "out.parquet"
    text = printed(60, output=path, run_dir=path)
    assert f"output         {path} · 1.23 MB\n" in text
    assert f"penstock redo '{path}' --only invalid_request\n" in text


@pytest.mark.parametrize(
    ("exit_code", "failed", "expected"),
    [
        (0, 0, "Complete (exit 0)"),
        (0, 1, "Complete, with 1 dead letter (exit 0)"),
        (3, 5, "Complete, with 5 dead letters (exit 3)"),
        (4, 5, "Stopped: the provider refuses (exit 4)"),
        (5, 5, "Stopped by a limit of yours (exit 5)"),
        (6, 0, "Stopped by a failure (exit 6)"),
        (130, 0, "Interrupted (exit 130)"),
        (143, 0, "Interrupted (exit 143)"),
    ],
)
def test_the_first_line_says_how_it_ended(exit_code: int, failed: int, expected: str) -> None:
    report = a_report(exit_code=exit_code, failed=failed)
    assert plain_table(report).splitlines()[0] == expected


@pytest.mark.parametrize("exit_code", [4, 5, 6, 130, 143])
def test_a_run_that_stopped_says_why_and_how_to_go_on(exit_code: int) -> None:
    text = plain_table(
        a_report(
            exit_code=exit_code,
            pending=40,
            rows_in=1040,
            message="401: the key was refused",
            next_step="Give a key that works, by --api-key-env.",
            resume_command="penstock run in.jsonl -o out.parquet",
        )
    )
    assert "why            401: the key was refused\n" in text
    assert "rows in        1,040 = 995 succeeded + 5 failed + 40 pending\n" in text
    assert (
        "what next      Give a key that works, by --api-key-env.\n"
        "               Nothing is lost; the same command resumes:\n"
        "                 penstock run in.jsonl -o out.parquet\n"
        "               To read what is there already:\n"
        "                 penstock export 'my run' -o FILE --partial"
    ) in text


@pytest.mark.parametrize("exit_code", [0, 3])
def test_a_complete_run_is_not_told_to_resume(exit_code: int) -> None:
    assert "resumes" not in plain_table(a_report(exit_code=exit_code))


def test_an_input_that_was_not_read_to_its_end_is_no_invented_number() -> None:
    text = plain_table(a_report(exit_code=4, rows_in=None, pending=None))
    assert "? = 995 succeeded + 5 failed + pending (the input was not read to its end)" in text


def test_what_came_from_an_earlier_epoch_is_named_and_not_counted_as_speed() -> None:
    text = plain_table(a_report(resumed=490, duplicates=2, wall_seconds=51.0))
    assert "5 failed (490 from before, 2 asked twice)" in text
    assert "51 s · 10.0/s" in text


def test_a_providers_message_can_not_move_the_cursor_and_is_cut() -> None:
    failure = Failure(1, 0, "\x1b]0;x", "\x1b[2J" + "long " * 100)
    text = plain_table(a_report(failed_by_class={"invalid_request": failure}))
    assert "\x1b" not in text
    assert "…" in text
    assert max(map(len, text.splitlines())) < 180


def test_in_a_notebook_every_value_is_escaped() -> None:
    failure = Failure(1, 0, "<b>", "<script>alert(1)</script>")
    html = html_table(a_report(failed_by_class={"invalid_request": failure}))
    assert "<script>" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_cost_is_shown_where_it_is_known() -> None:
    assert "cost           $0.1234\n" in plain_table(a_report(cost_usd=0.1234))
    assert "cost" not in plain_table(a_report())
    lost = plain_table(a_report(cost_usd=2.0, lost_usd=0.25, budget_usd=5.0))
    assert (
        "$2.00 of $5.00 ($0.2500 of it for answers that were lost, asked for twice or not counted)"
        in lost
    )
