"""A manifest for tests."""

from __future__ import annotations

from penstock.job import Job, identity
from penstock.ledger.manifest import Manifest, public_job
from penstock.sources.frozen import FrozenInput
from penstock.sources.schema import InputSchema

JOB = Job(
    inputs=("a.jsonl",),
    output="out.parquet",
    model="m",
    prompt="{{ text }}",
    param={"temperature": 0},
    header={"X-Team": "env:TEAM", "Authorization": "Bearer hunter2"},
)


def manifest(**changes: object) -> Manifest:
    values: dict[str, object] = {
        "run_id": "5eed",
        "created_at": "2026-01-01T00:00:00Z",
        "penstock_version": "0",
        "identity": identity(JOB),
        "job": public_job(JOB),
        "inputs": [FrozenInput("a.jsonl", "jsonl", "", 10, "ab", cuts=(4,))],
        "input_schema": InputSchema(),
        "output_schema": [("row", "int64")],
        "shard_rows": 64,
    }
    return Manifest(**(values | changes))  # type: ignore[arg-type]
