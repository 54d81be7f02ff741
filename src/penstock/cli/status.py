"""`penstock status`: how far a run is, also while it goes on."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli.options import GroupedCommand

if TYPE_CHECKING:
    from penstock.cli.survey import Status
    from penstock.cli.text import Section

HELP = """Show how far a run is: while it goes on, stopped, or finished.

Nothing is changed, and a run under way is not disturbed.

\b
    penstock status answers.parquet.run
"""


def status(run_dir: str, as_json: bool) -> int:
    """Read a run's state, and print it."""
    import msgspec

    from penstock.cli.survey import read_status
    from penstock.cli.text import print_json, print_sections

    found = read_status(Path(run_dir), time.time())
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        print_sections(headline(found), sections(found))
    return 0


def headline(found: Status) -> str:
    """The state in one line."""
    if found.state == "running":
        who = f"pid {found.pid}" if found.pid is not None else "its workers; the supervisor is gone"
        return f"{found.run_dir}: running ({who})"
    if found.state == "complete" and found.failed:
        return f"{found.run_dir}: complete, with dead letters"
    return f"{found.run_dir}: {found.state}"


def sections(found: Status) -> Iterator[Section]:
    """What is known, those parts left out that have nothing to say."""
    from penstock.observe.table import cost_words, token_words
    from penstock.observe.words import count, duration, visible

    yield "run", [f"{found.run_id}, begun {found.created_at}, epoch {found.epoch}"]
    yield "rows in", [rows_words(found)]
    if found.failed:
        yield "failed", [f"{name} {count(rows)}" for name, rows in found.failed_by_class.items()]
    yield "tokens", [token_words(found.tokens)]
    if found.cost_usd is not None:
        yield "cost", [cost_words(found.cost_usd, 0.0, found.budget_usd)]
    if found.checkpoint_age_seconds is not None:
        yield "checkpoint", [f"{duration(found.checkpoint_age_seconds)} ago"]
    if found.redo is not None:
        redo = found.redo
        left = f"{count(redo.left)} of {count(redo.rows)} rows are left"
        yield "redo", [f"{redo.number}, begun {redo.created_at}: {left}"]
    if found.torn_segments:
        yield "segments", [f"{found.torn_segments} with a torn end, which the next start mends"]
    yield "output", [output_words(found)]
    if found.message:
        yield "why", visible(found.message).splitlines()
    if steps := list(next_steps(found)):
        yield "what next", steps


def rows_words(found: Status) -> str:
    """`1,000 = 400 succeeded + 3 failed + 597 pending`."""
    from penstock.observe.table import unbought_words
    from penstock.observe.words import count, row_sum

    pending = "pending" if found.pending is None else found.pending
    told = row_sum(found.rows_in, found.succeeded, found.failed, pending)
    notes = [f"{count(found.duplicates)} asked twice"] if found.duplicates else []
    notes += unbought_words(found.reused, found.deduplicated)
    return told + (f" ({', '.join(notes)})" if notes else "")


def output_words(found: Status) -> str:
    """The output, and whether it is this run's."""
    from penstock.observe.words import size

    if found.output_bytes is None:
        return f"{found.output}, not there" + (" yet" if found.state != "complete" else "")
    if not found.output_is_ours:
        return f"{found.output}, not as this run made it"
    return f"{found.output} · {size(found.output_bytes)}"


def next_steps(found: Status) -> Iterator[str]:
    """What can be done now."""
    run_dir = shlex.quote(found.run_dir)
    yield from found.next_step.splitlines()
    if found.state == "stopped" or (found.state == "complete" and found.output_bytes is None):
        does = "resumes it" if found.state == "stopped" else "writes the output anew"
        if found.resume_command:
            yield f"The same command {does}:"
            yield f"  {found.resume_command}"
        else:
            yield f"The command that began it {does}."
    if found.state != "complete":
        yield "To read what is there already:"
        yield f"  penstock export {run_dir} -o FILE --partial"
    elif found.failed:
        yield "To ask for dead letters again:"
        yield from (f"  penstock redo {run_dir} --only {name}" for name in found.failed_by_class)


command = GroupedCommand(
    "status",
    callback=status,
    params=[
        click.Argument(["run_dir"], metavar="RUN_DIR"),
        click.Option(["--json", "as_json"], is_flag=True, help="Print one line of JSON."),
    ],
    help=HELP,
)
