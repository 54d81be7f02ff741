"""The run directory: one job's life on disk.

`run.json`, the manifest, is written last when a run is begun and decides whether there is one.
Everything else in the directory is found by the names given here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from penstock.errors import RunDirectoryError
from penstock.ledger.disk import Disk
from penstock.ledger.mark import SegmentName
from penstock.ledger.schema import RESULT_SCHEMA_HASH
from penstock.sources.frozen import FrozenInput
from penstock.sources.schema import InputSchema

FORMAT_VERSION: Final = 1
MANIFEST: Final = "run.json"
SHOWN_CHARACTERS: Final = 60


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`run.json`: what this run is. Secrets are not in it."""

    format_version: int = FORMAT_VERSION
    run_id: str
    created_at: str  # ISO 8601, UTC
    penstock_version: str
    identity: dict[str, Any]  # see `penstock.job.identity`
    job: dict[str, Any]  # every option, see `public_job`
    inputs: list[FrozenInput]
    input_schema: InputSchema
    output_schema: list[tuple[str, str]]  # the announced columns: name, Arrow type
    shard_rows: int
    batch_lines: bool = False
    result_schema: str = RESULT_SCHEMA_HASH


class RunDirectory:
    """Where everything of a run is; making one touches nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest_path = path / MANIFEST
        self.lock_path = path / "lock"
        self.workers_path = path / "workers.json"
        self.epoch_path = path / "epoch"
        self.checkpoint_path = path / "checkpoint.arrow"
        self.previous_checkpoint_path = path / "checkpoint.previous.arrow"
        self.segments = path / "segments"
        self.spool = path / "spool"
        self.generations = path / "generations"
        self.exports_path = path / "exports.json"
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
        try:
            data = self.manifest_path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise RunDirectoryError(
                f"{self.path} is no run directory: it has no {MANIFEST}",
                "Name the run directory of a run, by default OUTPUT.run.",
            ) from None
        except OSError as error:
            raise unreadable(self.manifest_path, error) from error
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
        ours = {path.name for path in vars(self).values() if path != self.path}
        for entry in scan(self.path):
            if entry.name.removesuffix(".new") not in ours:
                raise RunDirectoryError(
                    f"{self.path} is no run directory, but holds {entry.name}",
                    "Name another place by --run-dir.",
                )


def scan(directory: Path) -> list[os.DirEntry[str]]:
    """What is in a directory; nothing if it isn't there. Raises RunDirectoryError."""
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unreadable(directory, error) from error


def unreadable(path: Path, error: OSError) -> RunDirectoryError:
    """The error for a part of a run directory that the system does not let us read."""
    return RunDirectoryError(f"can't read {path}: {error.strerror}", "Make it readable.")


def encode(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(data: bytes, path: Path) -> Manifest:
    """The manifest in `data`; its version is looked at first, as another may look otherwise."""
    try:
        version = msgspec.json.decode(data, type=dict[str, Any]).get("format_version")
        if version == FORMAT_VERSION:
            return of_our_schema(msgspec.json.decode(data, type=Manifest), path)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RunDirectoryError(
            f"{path} can't be read: {error}", "Restore it, or begin anew with --fresh."
        ) from None
    raise RunDirectoryError(
        f"{path} has format version {version}; this Penstock reads version {FORMAT_VERSION}",
        "Use the version of Penstock that made the run, or begin anew with --fresh.",
    )


def of_our_schema(manifest: Manifest, path: Path) -> Manifest:
    """Raises RunDirectoryError if the run's segments have another schema than ours."""
    # Read on, all of them would look like garbage, and be bought again.
    if manifest.result_schema != RESULT_SCHEMA_HASH:
        raise RunDirectoryError(
            f"{path}: the run's segments have other columns than this Penstock writes",
            "Use the version of Penstock that made the run, or begin anew with --fresh.",
        )
    return manifest


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


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What makes two identities different, one line each: `model: "a" became "b"`."""
    return [
        f"{key.replace('_', '-')}: {shown(old, key, new)} became {shown(new, key, old)}"
        for key in sorted(old.keys() | new.keys())
        if plain(old.get(key)) != plain(new.get(key))
    ]


def check_identity(manifest: Manifest, identity: Mapping[str, Any], path: Path) -> None:
    """Raises RunDirectoryError, naming each difference, unless the run is of this job."""
    differences = compare(manifest.identity, identity)
    if differences:
        raise RunDirectoryError(
            "\n  ".join([f"{path} holds the run of another job:", *differences]),
            "Give the same options to resume it, --fresh to begin anew (the old run is kept), "
            "or another output.",
        )


def plain(value: Any) -> Any:
    """A value as it comes back from JSON."""
    return msgspec.json.decode(msgspec.json.encode(value))


def shown(values: Mapping[str, Any], key: str, other: Mapping[str, Any]) -> str:
    """A value of an identity in a message; a long one from where it begins to differ."""
    text, against = (msgspec.json.encode(side.get(key)).decode() for side in (values, other))
    if len(text) <= SHOWN_CHARACTERS:
        return text
    same = next(
        (at for at, pair in enumerate(zip(text, against, strict=False)) if pair[0] != pair[1]),
        min(len(text), len(against)),
    )
    start = max(0, same - SHOWN_CHARACTERS // 3)
    cut = text[start : start + SHOWN_CHARACTERS]
    return ("..." if start else "") + cut + ("..." if start + len(cut) < len(text) else "")


def public_job(job: msgspec.Struct) -> dict[str, Any]:
    """A job for the manifest; header values go unless they only name an environment variable."""
    options: dict[str, Any] = plain(job)
    headers = options.get("header") or {}
    options["header"] = {
        name: value if value.startswith("env:") else "***" for name, value in headers.items()
    }
    return options
