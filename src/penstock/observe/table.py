"""The end table: what a run came to, as text, on a terminal and in a notebook."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from penstock import errors
from penstock.observe.bottleneck import main_reason
from penstock.observe.limiting import limit_words
from penstock.observe.words import (
    count,
    counted,
    duration,
    money,
    percent,
    rate,
    row_sum,
    seconds,
    short,
    size,
    visible,
)

if TYPE_CHECKING:
    from rich.console import Console

    from penstock.observe.report import Amounts, Planned, Report

# A message longer than this is cut; the dead-letter file holds it whole.
MESSAGE_CHARACTERS = 100

LEAST_SHOWN_USD = 0.00005

# What a command to be copied is indented by, below the words about it.
COMMAND = "  "

# Rows whose values are paths: never folded, so that they can be copied.
PATHS = frozenset({"output", "dead letters", "run directory"})

# A label and the lines beside it.
Section = tuple[str, list[str]]


def plain_table(report: Report) -> str:
    """The table as text: aligned, and never wrapped, so that paths and commands can be copied."""
    labelled = list(sections(report))
    width = max(len(label) for label, _ in labelled)
    lines = [headline(report), ""]
    for label, values in labelled:
        for index, value in enumerate(values):
            lines.append(f"{label if index == 0 else '':{width}}  {value}")
    return "\n".join(lines)


def print_table(report: Report, console: Console) -> None:
    """The table on a terminal."""
    from rich.text import Text

    style = "bold green" if report.exit_code == errors.EXIT_COMPLETE else "bold yellow"
    console.print(Text(headline(report) + "\n", style), soft_wrap=True)
    labelled = list(sections(report))
    width = max(len(label) for label, _ in labelled)
    for label, values in labelled:
        lines = values
        if label not in PATHS:
            lines = [part for value in values for part in folded(value, console.width - width - 2)]
        for index, line in enumerate(lines):
            shown = label if index == 0 else ""
            console.print(Text.assemble((f"{shown:{width}}", "dim"), "  ", line), soft_wrap=True)


def folded(value: str, columns: int) -> list[str]:
    """A value folded between words; a command stays whole, so that it can be copied."""
    if value.startswith(COMMAND):
        return [value]
    wrap = textwrap.TextWrapper(
        max(columns, 1),
        subsequent_indent=COMMAND,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrap.wrap(value) or [""]


def html_table(report: Report) -> str:
    """The table for a notebook. Every value is escaped: messages are the provider's words."""
    rows = "".join(
        f"<tr><th style='text-align:left;vertical-align:top'>{escape(label)}</th>"
        f"<td style='text-align:left'>{'<br>'.join(map(escape, values))}</td></tr>"
        for label, values in sections(report)
    )
    return f"<table><caption>{escape(headline(report))}</caption>{rows}</table>"


def headline(report: Report) -> str:
    """How the run ended, in one line."""
    return f"{outcome(report)} (exit {report.exit_code})"


def outcome(report: Report) -> str:
    """What the exit code means."""
    match report.exit_code:
        case errors.EXIT_COMPLETE | errors.EXIT_DEAD_LETTERS if report.failed:
            return f"Complete, with {letters(report.failed)}"
        case errors.EXIT_COMPLETE:
            return "Complete"
        case errors.EXIT_PROVIDER:
            return "Stopped: the provider refuses"
        case errors.EXIT_LIMIT:
            return "Stopped by a limit of yours"
        case errors.EXIT_SIGINT | errors.EXIT_SIGTERM:
            return "Interrupted"
        case _:
            return "Stopped by a failure"


def letters(number: int) -> str:
    return counted(number, "dead letter")


def sections(report: Report) -> Iterator[Section]:
    """The table's rows, those left out that have nothing to say."""
    if report.message:
        yield "why", visible(report.message).splitlines()
    yield "rows in", [rows_words(report)]
    if report.failed_by_class:
        yield "failed", list(failure_lines(report))
    yield "tokens", [token_words(report.tokens)]
    if report.cost_usd is not None:
        yield "cost", [cost_words(report.cost_usd, report.lost_usd, report.budget_usd)]
    yield "time", [time_words(report)]
    yield "requests", [request_words(report)]
    yield "latency", [f"p50 {seconds(report.p50_seconds)} · p99 {seconds(report.p99_seconds)}"]
    if report.limits:
        yield "limits", [limit_line(report, one) for one in report.limits]
    if report.limited_by:
        yield "bottleneck", [limited_words(report)]
    if report.plan is not None:
        yield "plan", list(plan_lines(report.plan))
    if report.output:
        yield "output", [file_words(report.output, report.output_bytes)]
    if report.failed_output:
        yield "dead letters", [report.failed_output]
    yield "run directory", [report.run_dir]
    if report.warnings:
        yield "warnings", list(report.warnings)
    steps = list(next_steps(report))
    if steps:
        yield "what next", steps


def rows_words(report: Report) -> str:
    """`1,000 = 995 succeeded + 5 failed`."""
    told = row_sum(
        report.rows_in,
        report.succeeded,
        report.failed,
        "pending (the input was not read to its end)" if report.pending is None else report.pending,
    )
    notes = []
    if report.resumed:
        notes.append(f"{count(report.resumed)} from before")
    if report.duplicates:
        notes.append(f"{count(report.duplicates)} asked twice")
    notes += unbought_words(report.reused, report.deduplicated)
    return told + (f" ({', '.join(notes)})" if notes else "")


def unbought_words(reused: int, duplicate: int) -> list[str]:
    """`9,000 reused`, `300 duplicates`: rows that ended without a request."""
    told = ((reused, "reused"), (duplicate, "duplicates"))
    return [f"{count(number)} {words}" for number, words in told if number]


def failure_lines(report: Report) -> Iterator[str]:
    """Each error class with one example, and how to ask those rows again."""
    by_class = sorted(report.failed_by_class.items(), key=lambda pair: (-pair[1].count, pair[0]))
    for error_class, failure in by_class:
        name = f"row {failure.row}" + (
            f" ({one_line(failure.id)})" if failure.id is not None else ""
        )
        message = f": {one_line(failure.message)}" if failure.message else ""
        yield f"{error_class} {count(failure.count)}, such as {name}{message}"
        yield f"{COMMAND}penstock redo {shlex.quote(report.run_dir)} --only {error_class}"


def one_line(message: str) -> str:
    """A message on one line, cut where it is long."""
    text = visible(" ".join(message.split()))
    return text if len(text) <= MESSAGE_CHARACTERS else text[: MESSAGE_CHARACTERS - 1] + "…"


def token_words(tokens: dict[str, int]) -> str:
    """`45,200 in (3,100 cached) · 12,100 out (900 reasoning)`."""
    cached, reasoning = tokens.get("cached_input", 0), tokens.get("reasoning", 0)
    read = tokens.get("uncached_input", 0) + cached
    written = tokens.get("visible_output", 0) + reasoning
    left = f"{count(read)} in" + (f" ({count(cached)} cached)" if cached else "")
    right = f"{count(written)} out" + (f" ({count(reasoning)} reasoning)" if reasoning else "")
    return f"{left} · {right}"


def cost_words(cost_usd: float, lost_usd: float, budget_usd: float | None) -> str:
    """`$1.24 of $5.00 (of it $0.0100 for answers that were lost, or asked for twice)`."""
    of = "" if budget_usd is None else f" of {money(budget_usd)}"
    if lost_usd < LEAST_SHOWN_USD:
        return money(cost_usd) + of
    lost = f"{money(lost_usd)} of it for answers that were lost, asked for twice or not counted"
    return f"{money(cost_usd)}{of} ({lost})"


def time_words(report: Report) -> str:
    """`1:42 · 9.81/s`."""
    here = report.succeeded + report.failed - report.resumed
    speed = here / report.wall_seconds if report.wall_seconds > 0 else 0.0
    return f"{duration(report.wall_seconds)} · {rate(speed)}"


def request_words(report: Report) -> str:
    parts = (
        count(report.requests),
        counted(report.retries, "retry", "retries"),
        counted(report.throttles, "throttle"),
    )
    return " · ".join(parts)


def limit_line(report: Report, resource: str) -> str:
    use = report.limits[resource]
    return f"{limit_words(resource, use)}, {percent(use.share)} used"


def limited_words(report: Report) -> str:
    reason = main_reason(report.bottleneck)
    share = report.bottleneck.get(reason, 0.0) if reason else 0.0
    return f"{report.limited_by} ({percent(share)} of slot time)" if share else report.limited_by


def plan_lines(plan: Planned) -> Iterator[str]:
    """`1.16M in · 16.3M out · 2:15 expected of 63,666 rows`, and what came."""
    guessed = "" if plan.measured else "; output and time were guesses"
    yield f"{amount_words(plan.predicted)} expected of {count(plan.rows)} rows{guessed}"
    yield f"{amount_words(plan.actual)} came"


def amount_words(amounts: Amounts) -> str:
    cost = [] if amounts.cost_usd is None else [money(amounts.cost_usd)]
    tokens = [f"{short(amounts.input_tokens)} in", f"{short(amounts.output_tokens)} out"]
    return " · ".join([*tokens, *cost, duration(amounts.seconds)])


def file_words(path: str, size_bytes: int | None) -> str:
    return path if size_bytes is None else f"{path} · {size(size_bytes)}"


def next_steps(report: Report) -> Iterator[str]:
    """What the exit code asks of the reader."""
    yield from visible(report.next_step).splitlines()
    if report.exit_code in (errors.EXIT_COMPLETE, errors.EXIT_DEAD_LETTERS, errors.EXIT_USAGE):
        return
    yield "Nothing is lost; the same command resumes:"
    yield COMMAND + (report.resume_command or "penstock run ...")
    yield "To read what is there already:"
    yield f"{COMMAND}penstock export {shlex.quote(report.run_dir)} -o FILE --partial"
