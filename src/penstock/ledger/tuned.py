"""`tuned.json`: limits that were changed while a run goes on, by `penstock tune`.

Whoever tunes puts a whole new file in place, under its own name first, so that a run never reads
half of one. A run under way takes it within a second; a later one finds it, and what its command
line or its environment says goes before it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.disk import Disk
from penstock.errors import LedgerError
from penstock.job import Count, Positive, Slots
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.sealed_json import pack, unpack


class Tuned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was tuned; None is left as the job has it. The names are those of the options."""

    rps: Count | None = None
    rpm: Count | None = None
    rpd: Count | None = None
    tpm: Count | None = None
    tpd: Count | None = None
    input_tpm: Count | None = None
    output_tpm: Count | None = None
    max_concurrency: Slots | None = None
    budget_usd: Positive | None = None
    tuned_at: str = ""  # when, in UTC

    def values(self) -> dict[str, Any]:
        """The options that were tuned."""
        given = {name: getattr(self, name) for name in TUNABLE}
        return {name: value for name, value in given.items() if value is not None}


TUNABLE = tuple(name for name in Tuned.__struct_fields__ if name != "tuned_at")


def write_tuned(disk: Disk, directory: RunDirectory, tuned: Tuned) -> None:
    """Puts `tuned` in place of what was tuned before, durably. Raises LedgerError, DiskFull."""
    disk.replace_file(directory.tuned_path, pack(msgspec.json.encode(tuned)))


def read_tuned(directory: RunDirectory) -> Tuned | None:
    """What was tuned; None if nothing was. Raises LedgerError if that can't be read."""
    data = Disk().read_file(directory.tuned_path)
    try:
        return None if data is None else msgspec.json.decode(unpack(data), type=Tuned)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise LedgerError(
            f"{directory.tuned_path} can't be read: {error}",
            "Remove it, and tune again: penstock tune RUN_DIR --rpm N",
        ) from None


def signature(directory: RunDirectory) -> tuple[int, int] | None:
    """What changes whenever the file does; None while there is none."""
    try:
        found = directory.tuned_path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
