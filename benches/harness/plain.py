"""The result of a benchmark that compares no clients: some figures, each by its name."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.machine import Machine, versions
from harness.result import now, save


class Plain(msgspec.Struct, kw_only=True):
    """Such a result, as it is committed."""

    what: str
    measured_at: str
    machine: Machine
    versions: dict[str, str]
    asked: dict[str, float]
    figures: dict[str, float]


def tell(
    kind: str,
    what: str,
    asked: dict[str, float],
    figures: dict[str, float],
    about: Machine,
    folder: Path | None,
) -> None:
    """Print the figures, and save them where a folder is given."""
    rounded = {name: round(value, 4) for name, value in figures.items()}
    for name, value in rounded.items():
        print(f"  {name:<42} {value:>14,.4g}", flush=True)
    if folder is not None:
        result = Plain(
            what=what,
            measured_at=now().isoformat(timespec="seconds"),
            machine=about,
            versions=versions(),
            asked=asked,
            figures=rounded,
        )
        print(f"saved {save(kind, result, folder)}")
