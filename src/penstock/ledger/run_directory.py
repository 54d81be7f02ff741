"""The run directory: one job's life on disk.

`run.json`, the manifest, is written last when a run is begun and decides whether there is one.
Everything else in the directory is found by the names given here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from penstock.disk import Disk
from penstock.errors import RunDirectoryError
from penstock.ledger.manifest import Manifest, decode, encode
from penstock.ledger.mark import SegmentName

MANIFEST: Final = "run.json"


class RunDirectory:
    """Where everything of a run is; making one touches nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest_path = path / MANIFEST
        self.lock_path = path / "lock"
        self.workers_path = path / "workers.json"
        self.epoch_path = path / "epoch"
        self.spending_path = path / "spending.json"
        self.checkpoint_path = path / "checkpoint.arrow"
        self.previous_checkpoint_path = path / "checkpoint.previous.arrow"
        self.segments = path / "segments"
        self.spool = path / "spool"
        self.generations = path / "generations"
        self.known = path / "known"
        self.exports_path = path / "exports.json"
        self.tuned_path = path / "tuned.json"
        self.summary_path = path / "summary.json"
        self.log_path = path / "log.jsonl"

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    def exists(self) -> bool:
        """Whether a run was begun here."""
        return self.manifest_path.exists()

    def prepare(self, disk: Disk) -> None:
        """Make the directories, so that the lock can be taken; a run is begun by `create`.

        Raises RunDirectoryError if something else than a run is there.
        """
        self._refuse_strangers()
        for directory in (self.path, self.segments, self.spool, self.generations):
            disk.make_dir(directory)

    def create(self, disk: Disk, manifest: Manifest) -> None:
        """Begin the run; to be called with the lock held, after `prepare`."""
        disk.replace_file(self.manifest_path, encode(manifest))
        disk.fsync_dir(self.path.parent)

    def update(self, disk: Disk, manifest: Manifest) -> None:
        """Put another manifest in place of the run's, say after its input grew."""
        disk.replace_file(self.manifest_path, encode(manifest))

    def manifest(self) -> Manifest:
        """The run's manifest.

        Raises RunDirectoryError if there is none, it can't be read, or is of another format.
        """
        data = Disk().read_file(self.manifest_path)
        if data is None:
            raise RunDirectoryError(
                f"{self.path} is no run directory: it has no {MANIFEST}",
                "Name the run directory of a run, by default OUTPUT.run.",
            )
        return decode(data, self.manifest_path)

    def segment_sizes(self) -> dict[SegmentName, int]:
        """The segments and their sizes in bytes, in the order of choice."""
        found = {}
        for entry in scan(self.segments):
            name = SegmentName.parse(entry.name)
            if name is not None:
                found[name] = entry.stat().st_size
        return dict(sorted(found.items()))

    def segment_path(self, name: SegmentName) -> Path:
        return self.segments / str(name)

    def _refuse_strangers(self) -> None:
        """Raises RunDirectoryError if the directory holds what no run has put there."""
        if self.exists():
            return
        if self.path.exists() and not self.path.is_dir():
            raise RunDirectoryError(
                f"{self.path} is no run directory: Not a directory", "Name another by --run-dir."
            )
        ours = {path.name for path in vars(self).values() if path != self.path}
        for entry in scan(self.path):
            if entry.name.removesuffix(".new") not in ours:
                raise RunDirectoryError(
                    f"{self.path} is no run directory, but holds {entry.name}",
                    "Name another place by --run-dir.",
                )


def scan(directory: Path) -> list[os.DirEntry[str]]:
    """What is in a directory; nothing if it isn't there. Raises LedgerError."""
    return Disk().entries(directory)


def move_aside(disk: Disk, path: Path) -> Path:
    """Give a run directory the first free of the names PATH.1, PATH.2, ...; returns it.

    To be called with its lock held, which stays with the directory that was moved.
    """
    number = 1
    while (aside := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    disk.rename(path, aside)
    disk.fsync_dir(path.parent)
    return aside
