"""The small files of a run directory, each with any bytes: read, or refused in words.

The first byte chooses which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from ledger.ledger_manifest import manifest
from penstock.errors import PenstockError
from penstock.ledger.epoch import recorded_epoch
from penstock.ledger.lock import Crew, locked, read_crew
from penstock.ledger.manifest import encode
from penstock.ledger.process import Process
from penstock.ledger.published import Published, is_published, read_published
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.summary import read_summary
from penstock.observe.report import Report

NAMES: Final = ("run.json", "epoch", "workers.json", "exports.json", "summary.json")

READERS: Final[dict[str, Callable[[RunDirectory], object]]] = {
    "run.json": RunDirectory.manifest,
    "epoch": recorded_epoch,
    "workers.json": lambda run_dir: (read_crew(run_dir), locked(run_dir)),
    "exports.json": lambda run_dir: (
        read_published(run_dir.path),
        is_published(run_dir.path, run_dir.path / "exports.json"),
    ),
    "summary.json": lambda run_dir: read_summary(run_dir.path),
}


def seeds() -> Sequence[bytes]:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    holders = Crew(Process(2**30, "1", "boot"), [Process(2**31, "2", "boot"), Process(-1, "", "")])
    contents = (
        encode(manifest()),
        b"17\n",
        msgspec.json.encode(holders),
        msgspec.json.encode([Published("out.csv", 5, 6, "ab")]),
        Report(exit_code=0, started_at=now, finished_at=now, tokens={"input": 3}).to_json(),
    )
    odd = (b"9" * 5000, b"[" * 3000, b'{"a":' * 3000)
    every = [bytes([number]) + one for number, one in enumerate(contents)]
    return [*every, *(bytes([number]) + one for number in range(len(NAMES)) for one in odd)]


def once(data: bytes, folder: Path) -> None:
    name = NAMES[data[0] % len(NAMES) if data else 0]
    (folder / name).write_bytes(data[1:])
    try:
        READERS[name](RunDirectory(folder))
    except PenstockError as error:
        assert name in str(error)
