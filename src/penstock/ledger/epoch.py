"""The number of the newest supervisor of a run; no two have the same.

It is durable before a worker starts, so that no two workers ever share a segment's name. Should the
file be lost, the names of the segments say what the highest was.
"""

from __future__ import annotations

from typing import Final

from penstock.disk import Disk
from penstock.ledger.run_directory import RunDirectory, scan

MOST_DIGITS: Final = 18  # with the line's end; more are damage


def begin_epoch(disk: Disk, run_dir: RunDirectory) -> int:
    """A number, from 1, that no supervisor of this run had; to be called with the lock held."""
    epoch = 1 + max(recorded_epoch(run_dir), highest_named(run_dir))
    disk.replace_file(run_dir.epoch_path, f"{epoch}\n".encode())
    return epoch


def recorded_epoch(run_dir: RunDirectory) -> int:
    """What the file says; 0 if it is not there or says nothing."""
    data = Disk().read_file(run_dir.epoch_path) or b""
    return int(data) if data.strip().isdigit() and len(data) <= MOST_DIGITS else 0


def highest_named(run_dir: RunDirectory) -> int:
    """The highest epoch in the name of a segment, or of what stands for one."""
    epochs = [entry.name.partition("-")[0] for entry in scan(run_dir.segments)]
    return max((int(epoch) for epoch in epochs if epoch.isdecimal()), default=0)
