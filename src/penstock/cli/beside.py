"""Two texts beside each other where a terminal is wide enough, else one below the other."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

from penstock.observe.words import visible

WIDE: Final = 100  # columns from which on two texts stand beside each other
MOST_LINES: Final = 12
GAP: Final = " │ "


def columns_here() -> int | None:
    """The terminal's columns; None where standard output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def beside(left: tuple[str, str], right: tuple[str, str], columns: int | None) -> Iterator[str]:
    """The lines of two texts, each a label and its words.

    Without a number of columns neither is folded or cut: it goes to a file, or to another program.
    """
    if columns is None or columns < WIDE:
        for label, text in (left, right):
            yield f"  {label}"
            yield from (f"    {line}".rstrip() for line in folded(text, columns and columns - 4))
        return
    width = (columns - 2 - len(GAP)) // 2
    pairs = zip_longest(
        [left[0], *folded(left[1], width)], [right[0], *folded(right[1], width)], fillvalue=""
    )
    for one, other in pairs:
        yield f"  {one:{width}}{GAP}{other}".rstrip()


def folded(text: str, columns: int | None) -> list[str]:
    """A text by lines of at most `columns`, cut where it is long."""
    lines = visible(text).splitlines()
    if columns is None:
        return lines
    wrap = textwrap.TextWrapper(max(columns, 10), break_on_hyphens=False)
    lines = [part for line in lines for part in wrap.wrap(line) or [""]]
    if len(lines) > MOST_LINES:
        left = len(lines) - MOST_LINES + 1
        lines = [*lines[: MOST_LINES - 1], f"… {left} more lines"]
    return lines
