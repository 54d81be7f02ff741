"""The spool of standard input: the blocks that were written, as far as they are whole."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from penstock.errors import LedgerError
from penstock.sources.spool_file import SpoolFile

BLOCKS: Final = (b'{"a": 1}\n' * 50, b"", b'{"b": 2}\n', bytes(range(256)), b"")


@cache
def written() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "spool"
        file = SpoolFile(path, writable=True)
        for block in BLOCKS:
            file.append(block)
        return path.read_bytes()


def seeds() -> Sequence[bytes]:
    return [written()]


def once(data: bytes, folder: Path) -> None:
    path = folder / "spool"
    path.write_bytes(data)
    file = SpoolFile(path, writable=False)
    found = blocks_of(file)
    assert set(found) <= {*BLOCKS, None}
    assert data != written() or found == list(BLOCKS)
    # Opened for writing it is cut to the same end, and goes on there.
    again = SpoolFile(path, writable=True)
    assert (again.end, again.marks, again.complete) == (file.end, file.marks, file.complete)
    again.append(b"more\n")
    last = [] if None in found else [b"more\n"]
    assert blocks_of(SpoolFile(path, writable=False)) == [*found, *last]


def blocks_of(file: SpoolFile) -> list[bytes | None]:
    """The blocks of a spool; None for one that is refused, after which no other is found."""
    found: list[bytes | None] = []
    position = 0
    while position < file.end:
        try:
            block, position = file.block(position)
        except LedgerError:
            return [*found, None]
        found.append(block)
    return found
