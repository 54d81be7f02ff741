from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from observe.samples import a_report, a_snapshot
from penstock.observe.progress_bar import Bar, BarProgress, bar, bar_lines

GOLDEN = {
    80: """\
━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━───────────────────── 612/1,000 61 % · ETA 40 s
9.81/s now · 9.70/s mean · 12 in flight · 14 retries · 6 throttles
tokens 45.2k in (3.10k cached) · 12.1k out · p50 420 ms · p99 1.93 s
limited to 600 requests/min
3 failed · invalid_request 2 · content_filter 1
""",
    40: """\
━━━━━━━━────── 612/1,000 61 % · ETA 40 s
9.81/s now · 9.70/s mean · 12 in flight
14 retries · 6 throttles
tokens 45.2k in (3.10k cached)
12.1k out · p50 420 ms · p99 1.93 s
limited to 600 requests/min
3 failed · invalid_request 2
content_filter 1
""",
    200: """\
━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━──────────────────────── 612/1,000 61 % · ETA 40 s
9.81/s now · 9.70/s mean · 12 in flight · 14 retries · 6 throttles
tokens 45.2k in (3.10k cached) · 12.1k out · p50 420 ms · p99 1.93 s
limited to 600 requests/min
3 failed · invalid_request 2 · content_filter 1
""",
}


@pytest.mark.parametrize("width", [80, 40, 200])
def test_the_display_fits_the_terminal(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(Bar(a_snapshot()))
    assert console.file.getvalue() == GOLDEN[width]  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", range(1, 60))
def test_no_line_is_ever_wider_than_the_terminal(width: int) -> None:
    snapshot = a_snapshot(limiting="endpoint down for 12 s: connect refused; probing")
    assert all(cell_len(line.plain) <= width for line in bar_lines(snapshot, width))


@pytest.mark.parametrize(
    ("share", "expected"), [(0, "────"), (0.5, "━━──"), (0.999, "━━━─"), (1, "━━━━")]
)
def test_a_bar_is_full_only_where_all_is_done(share: float, expected: str) -> None:
    assert bar(share, 4).plain == expected


def test_a_sentence_too_long_for_the_terminal_is_folded_and_not_cut() -> None:
    snapshot = a_snapshot(limiting="endpoint down for 12 s: connect refused; probing")
    text = " ".join(line.plain for line in bar_lines(snapshot, 30))
    assert snapshot.limiting in text


def test_notes_stay_above_the_display_and_are_not_taken_for_markup() -> None:
    stream = io.StringIO()
    progress = BarProgress(stream)
    progress.update(a_snapshot())
    progress.note("[red]not markup[/red] \x1b[2J")
    progress.close(None)
    text = stream.getvalue()
    assert "[red]not markup[/red] \N{REPLACEMENT CHARACTER}[2J" in text
    assert text.rindex("not markup") < text.rindex("612/1,000")


def test_the_end_shows_the_table_below_the_last_state() -> None:
    stream = io.StringIO()
    progress = BarProgress(stream)
    progress.update(a_snapshot(phase="done"))
    progress.close(a_report())
    text = stream.getvalue()
    assert text.rindex("in 1:01") < text.index("Complete, with 5 dead letters")


def test_the_cursor_is_given_back_at_the_end() -> None:
    stream = io.StringIO()
    progress = BarProgress(stream)
    progress.update(a_snapshot())
    progress.close(None)
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")
