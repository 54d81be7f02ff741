"""Memory stays as it is, however long the input."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from conftest import Simulate
from integration.place import Place

FEW, MANY = 1000, 3000
ROW_BYTES = 64 << 10
MOST_GROWTH_KIB = 48 << 10  # a good third of the bytes that MANY has more than FEW


@pytest.mark.xdist_group("alone")
def test_three_times_the_rows_take_no_more_memory(tmp_path: Path, simulate: Simulate) -> None:
    provider = simulate(output_tokens=2)
    few, many = (peak_kib(tmp_path / str(rows), rows, provider.base_url) for rows in (FEW, MANY))
    assert many - few < MOST_GROWTH_KIB, f"{few} KiB for {FEW} rows, {many} KiB for {MANY}"


def peak_kib(folder: Path, rows: int, base_url: str) -> int:
    """The most memory that the supervisor or a worker of a run had."""
    folder.mkdir()
    run = Place(folder)
    with run.input.open("w") as file:
        for n in range(rows):
            padding = os.urandom(ROW_BYTES // 2).hex()
            file.write(json.dumps({"text": f"text {n}", "padding": padding}) + "\n")
    output = folder / "out.jsonl"
    process = subprocess.Popen(
        run.command(base_url, output=output, max_concurrency=32),
        env=run.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss
