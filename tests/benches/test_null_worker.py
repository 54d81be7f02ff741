"""Tests of the worker that asks nobody."""

from __future__ import annotations

import null_worker


def test_what_it_writes_is_whole() -> None:
    batch = null_worker.batch_of([0, 1, 999, 1000])
    batch.validate(full=True)
    needed = [field.name for field in batch.schema if not field.nullable]
    assert {name: batch[name].null_count for name in needed} == dict.fromkeys(needed, 0)
    assert batch["outcome"].to_pylist() == ["failed", "succeeded", "succeeded", "failed"]
