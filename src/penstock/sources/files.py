"""One input file, whatever its format: freezing it, and opening it as it was frozen."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from penstock.sources.arrow import ArrowGroups
from penstock.sources.bytesource import Source, open_source, pass_over
from penstock.sources.frozen import FrozenInput, sample_of
from penstock.sources.resolve import ARROW, JSONL, PARQUET, STDIN
from penstock.sources.shard import LINES, Cursor, Shard
from penstock.sources.sniff import sniff
from penstock.sources.spool import Spool, SpoolSource
from penstock.sources.stdin import STDIN_NAME
from penstock.sources.table import Groups, TableInput
from penstock.sources.text import TextInput


def parquet_groups(path: Path, name: str) -> Groups:
    """A Parquet file, opened. Imported late: its library takes long to load."""
    from penstock.sources.parquet import ParquetGroups

    return ParquetGroups(path, name)


_TABLES: dict[str, Callable[[Path, str], Groups]] = {PARQUET: parquet_groups, ARROW: ArrowGroups}


class InputFile(Protocol):
    """One input, opened."""

    name: str

    def shards(self, cursor: Cursor, rows: int, max_bytes: int) -> Iterator[Shard]:
        """The shards from `cursor` to the file's end. Raises InputError."""

    def count_rows(self, stop: threading.Event) -> int | None:
        """How many rows there are; None if `stop` was set before they were counted."""


def freeze(path: Path, name: str) -> FrozenInput:
    """A file as it is now. Raises InputError where it can't be read."""
    if path == STDIN:
        return FrozenInput(STDIN_NAME, JSONL, "", -1, "")
    format, compression = sniff(path, name)
    size = path.stat().st_size
    rows = sum(_TABLES[format](path, name).rows) if format in _TABLES else None
    return FrozenInput(name, format, compression, size, sample_of(path, size), rows)


def names_of(paths: Sequence[Path]) -> list[str]:
    """What each file is called: its path below the folder that all have in common."""
    folders = [path.parent.resolve() for path in paths if path != STDIN]
    common = Path(os.path.commonpath(folders)) if folders else Path()
    return [
        STDIN_NAME
        if path == STDIN
        else str((path.parent.resolve() / path.name).relative_to(common))
        for path in paths
    ]


def open_input(
    frozen: FrozenInput,
    path: Path,
    *,
    kind: str = LINES,
    spool: Spool | None = None,
    max_line_bytes: int,
) -> InputFile:
    """A frozen file, ready to be read; `kind` is what JSON lines hold. Raises InputError."""
    name = frozen.name
    if frozen.format in _TABLES:
        return TableInput(name, _TABLES[frozen.format](path, name))

    def opener(offset: int, restart: tuple[int, int], end: int | None) -> Source:
        if spool is not None and path == STDIN:
            source: Source = SpoolSource(spool, restart, end)
            pass_over(source, offset - restart[1])
            return source
        size = frozen.size if end is None else end
        return open_source(path, name, frozen.compression, size, offset, restart)

    return TextInput(
        name,
        kind if frozen.format == JSONL else frozen.format,
        opener,
        cuts=spool.cuts if spool is not None and path == STDIN else frozen.cuts,
        max_line_bytes=max_line_bytes,
    )
