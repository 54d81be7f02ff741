"""What commands print: labels with their values beside them, or one line of JSON."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click

COMMAND = "  "  # what a command to be copied is indented by; it is never folded

# A label and the lines beside it.
Section = tuple[str, list[str]]


def print_sections(headline: str, sections: Iterable[Section], *, err: bool = False) -> None:
    """Print a headline and what is below it; folded where it goes to a terminal."""
    stream = sys.stderr if err else sys.stdout
    columns = shutil.get_terminal_size().columns if stream.isatty() else None
    click.echo("\n".join([headline, "", *aligned(list(sections), columns)]), err=err)


def aligned(sections: list[Section], columns: int | None = None) -> list[str]:
    """The lines of sections, values aligned, and folded at a width where one is given."""
    from penstock.observe.table import folded

    width = max((len(label) for label, _ in sections), default=0)
    lines = []
    for label, values in sections:
        shown = values
        if columns is not None:
            shown = [part for one in values for part in folded(one, columns - width - 2)]
        for place, value in enumerate(shown):
            lines.append(f"{label if place == 0 else '':{width}}  {value}".rstrip())
    return lines


def print_json(value: Mapping[str, Any]) -> None:
    """Print one line of JSON on standard output."""
    import msgspec

    click.echo(msgspec.json.encode(value, enc_hook=str))
