"""The engine's input: a JSONL file of records with distinct payloads."""

from __future__ import annotations

import json
from pathlib import Path

from harness.payload import text


def records_file(folder: Path, records: int) -> Path:
    """A file of so many records, written once."""
    path = folder / f"{records}.jsonl"
    if not path.exists():
        with path.open("w") as file:
            for row in range(records):
                file.write(json.dumps({"id": f"r-{row}", "text": text(row)}) + "\n")
    return path
