from __future__ import annotations

import io

from observe.samples import a_report, a_snapshot
from penstock.observe.progress_lines import LinesProgress, line


def test_a_line_says_all_that_the_bar_says() -> None:
    assert line(a_snapshot()) == (
        "[1:01] 612/1,000 61 % · ETA 40 s · 9.81/s now · 9.70/s mean · 12 in flight · 14 retries · "
        "6 throttles · 3 failed · invalid_request 2 · content_filter 1 · "
        "tokens 45.2k in (3.10k cached) · 12.1k out · p50 420 ms · p99 1.93 s · "
        "limited to 600 requests/min"
    )


def test_updates_between_lines_are_not_written() -> None:
    stream = io.StringIO()
    progress = LinesProgress(stream)
    for tenth in range(101):
        progress.update(a_snapshot(elapsed_seconds=60 + tenth / 10))
    assert [text.split("]")[0] for text in stream.getvalue().splitlines()] == [
        "[1:00",
        "[1:05",
        "[1:10",
    ]


def test_a_note_is_written_at_once_and_can_not_move_the_cursor() -> None:
    stream = io.StringIO()
    LinesProgress(stream).note("a\x1b[2Jb\nc")
    assert stream.getvalue() == "a\N{REPLACEMENT CHARACTER}[2Jb\nc\n"


def test_the_end_shows_the_table() -> None:
    stream = io.StringIO()
    LinesProgress(stream).close(a_report())
    assert stream.getvalue() == "\n" + a_report().table() + "\n"
