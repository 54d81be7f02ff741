"""Progress as a few lines that stay in place at the bottom of a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from penstock.observe.pieces import (
    SEPARATOR,
    done_share,
    done_words,
    eta_words,
    failures,
    flow,
    traffic,
    usage,
)
from penstock.observe.report import Report
from penstock.observe.snapshot import Snapshot
from penstock.observe.table import print_table
from penstock.observe.words import visible

LEAST_BAR_COLUMNS = 10
# A bar wider than this says no more, and its figures drift away from it.
MOST_BAR_COLUMNS = 60


class Bar:
    """A snapshot as rich draws it, at whatever width the terminal has at that moment."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from bar_lines(self._snapshot, options.max_width)


class SteadyConsole(Console):
    """A console that neither ends the process nor moves its stdout when its terminal is gone."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class BarProgress:
    """Draws on a terminal. Without rich's own refresh thread: it is drawn when it is updated."""

    def __init__(self, stream: TextIO) -> None:
        self._console = SteadyConsole(file=stream, force_terminal=True, highlight=False)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )

    def update(self, snapshot: Snapshot) -> None:
        self._live.start()  # without effect once it has
        self._live.update(Bar(snapshot), refresh=True)

    def note(self, text: str) -> None:
        self._console.print(Text(visible(text)), soft_wrap=True)

    def close(self, report: Report | None) -> None:
        self._live.stop()
        if report is not None:
            self._console.print()
            print_table(report, self._console)


def bar_lines(snapshot: Snapshot, width: int) -> list[Text]:
    """The display, as lines of at most `width` columns."""
    lines = head(snapshot, width)
    lines += plain(flow(traffic(snapshot), width))
    lines += plain(flow(usage(snapshot), width), "dim")
    lines += plain(textwrap.wrap(snapshot.limiting, width), limiting_style(snapshot))
    return lines + plain(flow(failures(snapshot), width), "red")


def head(snapshot: Snapshot, width: int) -> list[Text]:
    """The bar and how far it is: on one line where both fit."""
    words = SEPARATOR.join((done_words(snapshot), eta_words(snapshot)))
    columns = min(MOST_BAR_COLUMNS, width - len(words) - 1)
    if columns >= LEAST_BAR_COLUMNS:
        return [Text.assemble(bar(done_share(snapshot), columns), " ", (words, "bold"))]
    return [
        bar(done_share(snapshot), min(MOST_BAR_COLUMNS, width)),
        *plain(flow([done_words(snapshot), eta_words(snapshot)], width), "bold"),
    ]


def bar(share: float, columns: int) -> Text:
    """A bar of which `share`, 0..1, is filled; full only where all is done."""
    filled = int(share * columns)
    return Text.assemble(("━" * filled, "cyan"), ("─" * (columns - filled), "dim"))


def limiting_style(snapshot: Snapshot) -> str:
    return "" if all(snapshot.endpoint_up.values()) else "yellow"


def plain(lines: Iterable[str], style: str = "") -> list[Text]:
    """Lines as text of one style, without rich's markup, and never wrapped."""
    return [Text(one, style, no_wrap=True, overflow="ellipsis") for one in lines]
