"""Sealing: a torn segment becomes a whole Arrow file of what verifies in it.

It is copied, never modified, and takes the old one's name only once it is durable. If the old one
holds more than a torn footer, it stays beside it as `.torn`: what does not verify may still be
something that was paid for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from penstock.disk import Disk
from penstock.ledger.mark import stamp
from penstock.ledger.run_directory import scan
from penstock.ledger.segment import abandoned_marker
from penstock.ledger.segment_encoder import SegmentEncoder
from penstock.ledger.segment_reader import SegmentReader

SEALING: Final = ".sealing"
TORN: Final = ".torn"


def seal(disk: Disk, path: Path, run_id: str) -> int:
    """Put a whole copy in place of a segment; returns how many batches verified."""
    copy = path.with_suffix(SEALING)
    reader = SegmentReader(path, run_id)
    write_copy(disk, copy, reader)
    if reader.has_remains:
        disk.link(path, path.with_suffix(TORN))
    disk.rename(copy, path)
    disk.fsync_dir(path.parent)
    disk.unlink(abandoned_marker(path))
    return reader.batches


def write_copy(disk: Disk, copy: Path, reader: SegmentReader) -> None:
    """Write what verifies as a whole Arrow file, durably."""
    disk.unlink(copy)
    encoder = SegmentEncoder()
    fd = disk.open_new(copy)
    try:
        for batch, mark, *_ in reader:
            disk.write(fd, encoder.batch(batch, stamp(batch, mark)))
        disk.write(fd, encoder.footer())
        disk.fsync(fd)
    finally:
        disk.close(fd)


def is_abandoned(path: Path) -> bool:
    """Whether an fsync of the segment failed: the page cache may hold what the disk does not."""
    return abandoned_marker(path).exists()


def remove_leftovers(disk: Disk, segments: Path) -> None:
    """Remove the copies that an interrupted sealing left behind."""
    for entry in scan(segments):
        if entry.name.endswith(SEALING):
            disk.unlink(segments / entry.name)
