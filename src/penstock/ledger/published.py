"""The outputs that this run made, so that no other file is ever replaced by one.

`exports.json` in the run directory tells each by name, size, time and a sample of its content. It
is written before the rename that publishes a file: after a crash between the two it names a file
that nobody sees, which does no harm, while the other order would leave an output that its own run
refuses.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import xxhash

from penstock.disk import Disk
from penstock.disk_stream import ReadStream
from penstock.ledger.run_directory import RunDirectory

SAMPLE_BYTES = 1 << 16
KEPT = 64  # the newest; each export of one run usually has the same name


class Published(msgspec.Struct, frozen=True):
    """How a published file is known again."""

    name: str
    size_bytes: int
    modified_ns: int
    sample: str  # xxh3 of its first and its last 64 KiB


def fingerprint(path: Path, name: str) -> Published:
    """What `path` is known by, once it is called `name`; a rename changes nothing of it."""
    stat = path.stat()
    sample = xxhash.xxh3_64()
    with ReadStream(Disk(), path) as file:
        sample.update(file.read(SAMPLE_BYTES))
        file.seek(max(0, stat.st_size - SAMPLE_BYTES))
        sample.update(file.read(SAMPLE_BYTES))
    return Published(name, stat.st_size, stat.st_mtime_ns, sample.hexdigest())


def remember(disk: Disk, run_dir: Path, published: Published) -> None:
    """Notes, durably, that this run makes a file."""
    others = [one for one in read_published(run_dir) if one != published]
    data = msgspec.json.encode([*others, published][-KEPT:])
    disk.replace_file(RunDirectory(run_dir).exports_path, msgspec.json.format(data, indent=2))


def inherit(disk: Disk, run_dir: Path, aside: Path) -> None:
    """Takes over the files that another run made, whose directory was moved aside for this one."""
    if known := read_published(aside):
        disk.replace_file(RunDirectory(run_dir).exports_path, msgspec.json.encode(known))


def is_published(run_dir: Path, path: Path) -> bool:
    """Whether `path` is as this run made it: neither another's nor changed since."""
    known = read_published(run_dir)
    return bool(known) and fingerprint(path, path.name) in known


def read_published(run_dir: Path) -> list[Published]:
    """The files that this run made, oldest first; what is garbage counts as none."""
    try:
        data = Disk().read_file(RunDirectory(run_dir).exports_path)
        return [] if data is None else msgspec.json.decode(data, type=list[Published])
    except (msgspec.DecodeError, ValueError, RecursionError):
        return []
