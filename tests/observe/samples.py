"""A snapshot and a report like those of a real run, for tests to change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from penstock.observe.report import Failure, Report
from penstock.observe.snapshot import LimitUse, Snapshot, Traffic

SNAPSHOT = Snapshot(
    run_id="5eed",
    phase="running",
    total=1000,
    done=612,
    succeeded=609,
    failed=3,
    failed_by_class={"content_filter": 1, "invalid_request": 2},
    resumed=100,
    resumed_failed=1,
    in_flight=12,
    queued=40,
    retry_waiting=2,
    requests=530,
    retries=14,
    throttles=6,
    tokens={
        "uncached_input": 42100,
        "cached_input": 3100,
        "visible_output": 11200,
        "reasoning": 900,
    },
    elapsed_seconds=61.0,
    rate_now=9.81,
    rate_mean=9.7,
    eta_seconds=39.6,
    p50_seconds=0.42,
    p99_seconds=1.93,
    bottleneck={"requests": 0.82},
    limiting="limited to 600 requests/min",
    limits={
        "requests_per_minute": LimitUse(600, 60.0, 0.97),
        "concurrency": LimitUse(64, 0.0, 0.12),
    },
    workers=2,
    worker_restarts=1,
    endpoint_up={"http://127.0.0.1:8000/v1": True},
    endpoint_traffic={"http://127.0.0.1:8000/v1": Traffic(500, 6, 2, 12)},
    started_at=1_800_000_000.0,
    last_checkpoint_at=1_800_000_055.5,
)

REPORT = Report(
    exit_code=3,
    run_id="5eed",
    rows_in=1000,
    succeeded=995,
    failed=5,
    failed_by_class={
        "content_filter": Failure(2, 99),
        "invalid_request": Failure(3, 17, "t-17", "too\nlong"),
    },
    requests=1020,
    retries=14,
    throttles=6,
    tokens=SNAPSHOT.tokens,
    wall_seconds=102.3,
    p50_seconds=0.42,
    p99_seconds=1.93,
    limits=SNAPSHOT.limits,
    bottleneck=SNAPSHOT.bottleneck,
    limited_by="limited to 600 requests/min",
    output="out.parquet",
    output_bytes=1_234_567,
    failed_output="out.parquet.failed.jsonl",
    run_dir="my run",
    started_at=datetime(2027, 1, 15, 8, 0, tzinfo=UTC),
    finished_at=datetime(2027, 1, 15, 8, 1, 42, tzinfo=UTC),
    penstock_version="0.1.0",
)


def a_snapshot(**changes: Any) -> Snapshot:
    """The sample with some fields changed."""
    return msgspec.structs.replace(SNAPSHOT, **changes)


def a_report(**changes: Any) -> Report:
    """The sample with some fields changed."""
    return msgspec.structs.replace(REPORT, **changes)
