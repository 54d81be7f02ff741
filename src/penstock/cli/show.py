"""`penstock show`: all that is known of one row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import GroupedCommand

if TYPE_CHECKING:
    from penstock.cli.row import Found, Row
    from penstock.cli.text import Section

HELP = """Show all that is known of one row: its input, its request, and every copy of its result.

--curl prints a command that sends the row's request again; where the key goes it names the variable
that holds it. The input is read again: call it from where the run was called. Base64 of images and
files is cut short; --curl and --json have it whole.

\b
    penstock show answers.parquet.run --row 17
    penstock show answers.parquet.run --row 17 --curl | sh
"""


# As it stands in JSON and in a data: URL; words have spaces among so many letters.
BASE64 = re.compile(r"""(?<=[",])[A-Za-z0-9+/]{200,}={0,2}(?=["\s]|\Z)""")
SHOWN_BASE64 = 24


def show(run_dir: str, row: int, as_curl: bool, as_json: bool) -> int:
    """Look a row up, and print it."""
    from penstock.cli.row import json_of, read_row
    from penstock.cli.text import print_json, print_sections
    from penstock.errors import UsageError

    found = read_row(Path(run_dir), row)
    if as_json:
        print_json(json_of(found))
    elif not as_curl:
        print_sections(f"Row {row} of {run_dir}: {found.outcome}", sections(found))
        click.echo("\n".join(["", *spoken(found)]))
    elif found.request is not None:
        click.echo(found.request.as_curl())
    else:
        raise UsageError(f"row {row} has no request: {found.problem}", "Look at it without --curl.")
    return 0


def spoken(row: Row) -> Iterator[str]:
    """The row's prompt beside its answer, where it has both."""
    from penstock.cli.beside import beside, columns_here
    from penstock.providers.render import asked
    from penstock.vector import words_of

    counted = next((one.result for one in row.copies if one.counts), None)
    if row.request is None or counted is None:
        return
    vector = counted.get("embedding")
    answer = counted["output"] if counted["output"] is not None else counted["error_message"]
    if vector is not None:
        answer = words_of(vector)
    prompt = asked(row.request.body.encode())
    yield from beside(("prompt", prompt), ("answer", answer or ""), columns_here())


def sections(row: Row) -> Iterator[Section]:
    """The parts of what is known."""
    if row.record is not None:
        yield "input", [row.record.where]
        for name, value in (row.record.fields or {}).items():
            yield f"  {name}", lines_of(value)
    if row.request is not None:
        yield "request", lines_of(row.request.text)
    if row.problem:
        yield "problem", lines_of(row.problem)
    for one in row.copies:
        yield from copy_sections(one, others=len(row.copies) > 1)


def copy_sections(one: Found, *, others: bool) -> Iterator[Section]:
    """One copy of the result; its columns without a value left out."""
    from penstock.vector import words_of

    note = ""
    if others:
        note = ", the one that counts" if one.counts else ", which does not count"
    yield "result", [f"{one.result['outcome']}{note}"]
    for name, value in one.result.items():
        if name == "embedding" and value is not None:
            yield f"  {name}", [words_of(value)]
        elif value is not None and name not in ("row", "outcome"):
            yield f"  {name}", lines_of(value)


def lines_of(value: Any) -> list[str]:
    """A value as lines that a terminal can be given."""
    import msgspec

    from penstock.observe.words import visible

    text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
    # A time is text to JSON too.
    text = text.strip('"') if isinstance(value, datetime) else text
    return visible(BASE64.sub(cut_short, text)).splitlines() or [""]


def cut_short(base64: re.Match[str]) -> str:
    """What of a long base64 is worth reading: what it is shows in its first characters."""
    from penstock.observe.words import size

    return f"{base64[0][:SHOWN_BASE64]}... ({size(len(base64[0]))} of base64)"


command = GroupedCommand(
    "show",
    callback=show,
    params=[
        click.Argument(["run_dir"], metavar="RUN_DIR"),
        click.Option(
            ["--row"],
            type=click.IntRange(min=0),
            required=True,
            metavar="N",
            help="The row's number, from 0, over all inputs in order.",
        ),
        click.Option(["--curl", "as_curl"], is_flag=True, help="Print a command that asks again."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print one line of JSON."),
    ],
    help=HELP,
)
