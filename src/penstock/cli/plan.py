"""`penstock plan`: what a job will take, before a cent is spent."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import GroupedCommand, GroupedOption, job_flags, job_of

if TYPE_CHECKING:
    from penstock.cli.outlook import Outlook
    from penstock.cli.text import Section
    from penstock.engine.forecast import Interval

HELP = """Say what a job will take before a cent is spent: rows, tokens, hours, what would limit.

The input is read once, to count its rows and to take a sample from all over it; its requests are
made and not sent. Amounts stand with the interval that they are in with 95 % confidence, as far as
the sample can tell. All options of `penstock run` are taken, so that its command line can be used
as it is.

Output and latency are guesses until some records are done. A pilot measures them, and its answers
are kept: the run with a higher --limit, or none, goes on from them.

\b
    penstock plan tickets.jsonl -o answers.parquet --model gpt-4o-mini \\
        --prompt 'Summarize: {{ text }}' --rpm 5000 --tpm 2000000
    penstock run tickets.jsonl -o answers.parquet --model gpt-4o-mini \\
        --prompt 'Summarize: {{ text }}' --rpm 5000 --tpm 2000000 --limit 20
"""

SHOWN_LINES = 8  # of a rendered sample


def plan(inputs: tuple[str, ...], samples: int, **flags: Any) -> int:
    """Look ahead, and print what is to be seen."""
    from penstock.cli.outlook import look_ahead
    from penstock.cli.text import print_json, print_sections

    job = job_of(inputs, flags)
    with tempfile.TemporaryDirectory(prefix="penstock-") as spool:
        found = look_ahead(job, Path(spool))
    if job.json:
        print_json(found.as_json(samples))
    else:
        print_sections(headline(found), sections(found, samples))
    return 0


def headline(found: Outlook) -> str:
    """What it comes to, in one line."""
    from penstock.observe.words import count, duration

    ahead = found.forecast
    if not ahead.rows:
        return "Nothing is left to be asked"
    about = "" if found.rows_known else "about "
    return (
        f"{about}{count(ahead.rows)} rows in {duration(ahead.seconds.expected)}, "
        f"limited by {limit_words(found, ahead.limited_by)}"
    )


def sections(found: Outlook, samples: int) -> Iterator[Section]:
    """What is expected, and how sure that is."""
    from penstock.observe.words import count

    ahead = found.forecast
    yield "rows", [rows_words(found)]
    yield "sample", list(sample_words(found))
    yield "requests", [count(ahead.requests)]
    tokens = [f"{amount(ahead.input_tokens)} in", f"{amount(ahead.output_tokens)} out"]
    yield "tokens", tokens[:1] if found.job.embeds else tokens
    if ahead.cost_usd is not None:
        yield "cost", [dollars(ahead.cost_usd)]
    yield "time", [f"{span(ahead.seconds)}"]
    yield "limits", list(need_words(found))
    for record, request in found.requests[:samples]:
        from penstock.providers.render import asked

        yield f"row {record.row}", request_lines(asked(request.body))
    if ahead.rows and not ahead.measured:
        yield (
            "surer",
            [
                "Output and time are guesses until some records are done. Run it with --limit 20: "
                "its answers are kept, the whole run goes on from them, and the plan is measured.",
            ],
        )


def rows_words(found: Outlook) -> str:
    """`63,666`, with what is done of them."""
    from penstock.observe.words import count

    told = count(found.rows) if found.rows_known else f"about {count(found.rows)}, by their bytes"
    return told + (f", {count(found.done)} of them done" if found.done else "")


def sample_words(found: Outlook) -> Iterator[str]:
    """What was looked at."""
    from penstock.observe.words import count

    sampled, ahead = found.sampled, found.forecast
    yield f"{count(len(sampled.input_tokens))} requests from all over the input"
    if sampled.unrenderable:
        yield f"{count(sampled.unrenderable)} records make none: they will be `invalid_input`"
    if ahead.measured:
        yield f"{count(ahead.measured)} answers of {found.run_dir}"
    elif found.run_dir and found.problem:
        yield f"{found.run_dir} is not looked at: {found.problem}"


def need_words(found: Outlook) -> Iterator[str]:
    """How long each limit alone would take, the longest first."""
    from penstock.observe.words import duration, percent

    ahead = found.forecast
    needs = sorted(ahead.needs_seconds.items(), key=lambda one: -one[1])
    whole = needs[0][1] or 1.0
    for name, seconds in needs:
        yield f"{limit_words(found, name)}: {duration(seconds)} ({percent(seconds / whole)})"


def limit_words(found: Outlook, name: str) -> str:
    """A limit as the flag that sets it."""
    from penstock.observe.words import count, seconds

    if name == "cpu":
        return f"CPU ({count(found.workers)} workers)"
    if name == "concurrency":
        each = seconds(found.forecast.latency_seconds.expected)
        return f"--max-concurrency {count(found.slots)} at {each} a request"
    value = getattr(found.job, name, None)
    flag = f"--{name.replace('_', '-')}"
    return f"{flag} {count(value)}" if isinstance(value, int) else flag


def amount(found: Interval) -> str:
    """`1.23M (1.10M to 1.35M)`."""
    from penstock.observe.words import short

    return f"{short(found.expected)} ({short(found.low)} to {short(found.high)})"


def dollars(found: Interval) -> str:
    """`$12.30 ($11.20 to $13.40)`."""
    from penstock.observe.words import money

    return f"{money(found.expected)} ({money(found.low)} to {money(found.high)})"


def span(found: Interval) -> str:
    """`1:42 (1:30 to 2:05)`."""
    from penstock.observe.words import duration

    return f"{duration(found.expected)} ({duration(found.low)} to {duration(found.high)})"


def request_lines(text: str) -> list[str]:
    """A request's words, cut where they are long."""
    from penstock.observe.words import visible

    lines = visible(text).splitlines() or [""]
    if len(lines) > SHOWN_LINES:
        left = len(lines) - SHOWN_LINES
        lines = [*lines[:SHOWN_LINES], f"… {left} more lines"]
    return lines


command = GroupedCommand(
    "plan",
    callback=plan,
    params=[
        click.Argument(["inputs"], nargs=-1, metavar="INPUT..."),
        GroupedOption(
            ["--samples"],
            group="Plan",
            type=click.IntRange(min=0),
            default=1,
            metavar="N",
            help="How many of the sampled requests are shown. [default: 1]",
        ),
        *job_flags(),
    ],
    help=HELP,
)
