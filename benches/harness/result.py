"""A result as it is committed: machine, versions, raw runs, and the figures worked out of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from harness.comparison import Run
from harness.figures import Figure
from harness.machine import Machine
from harness.nginx import Wire

RESULTS = Path(__file__).parents[1] / "results"


class Result(msgspec.Struct, kw_only=True):
    """One comparison of clients."""

    what: str
    measured_at: str
    machine: Machine
    versions: dict[str, str]
    clients: dict[str, str]  # what each one is
    skipped: dict[str, str]  # what could not be had, and why
    wire: dict[str, Wire]  # by client, of a short run that is not measured
    figures: list[Figure]
    runs: list[Run]


def now() -> datetime:
    return datetime.now(UTC)


def save(kind: str, result: msgspec.Struct, folder: Path = RESULTS) -> Path:
    """Write a result as KIND-DATE.json; returns where."""
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / f"{kind}-{now():%Y-%m-%d}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    return path


def newest(kind: str, folder: Path = RESULTS) -> Path | None:
    """The newest result of a kind."""
    return max(folder.glob(f"{kind}-????-??-??.json"), default=None)


def read(path: Path) -> Result:
    """A committed comparison. Raises msgspec.ValidationError."""
    return msgspec.json.decode(path.read_bytes(), type=Result)
