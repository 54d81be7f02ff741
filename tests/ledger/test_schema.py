"""The columns of a segment and the builder of batches."""

from __future__ import annotations

import pytest

from ledger.ledger_rows import answer, dead
from penstock.ledger.manifest import FORMAT_VERSION
from penstock.ledger.schema import (
    RESULT_SCHEMA,
    RESULT_SCHEMA_HASH,
    ResultColumns,
    batch_of,
)
from penstock.record import Result


def test_the_columns_are_the_fields_of_a_result_in_their_order() -> None:
    assert tuple(RESULT_SCHEMA.names) == Result.__struct_fields__


def test_the_schema_changes_only_together_with_the_format_version() -> None:
    assert (FORMAT_VERSION, RESULT_SCHEMA_HASH) == (1, "156044b605f96aec")


def test_results_come_back_as_they_went_in() -> None:
    results = [answer(3), dead(1, http_status=400), answer(2, cost_usd=None, id=None)]
    columns = ResultColumns()
    for result in results:
        columns.append(result)
    assert len(columns) == 3
    batch = columns.take()
    assert batch.schema == RESULT_SCHEMA
    batch.validate(full=True)
    rows = batch.to_pylist()
    for row in rows:
        row["finished_at"] = int(row["finished_at"].timestamp() * 1_000_000)
    assert [Result(**row) for row in rows] == results


def test_a_builder_is_empty_after_its_batch_was_taken() -> None:
    columns = ResultColumns()
    columns.append(answer(1))
    columns.take()
    assert (len(columns), columns.size_bytes) == (0, 0)
    assert columns.take().num_rows == 0


@pytest.mark.parametrize("characters", [0, 500, 100_000])
def test_the_size_told_is_about_that_of_the_batch(characters: int) -> None:
    columns = ResultColumns()
    for row in range(256):
        columns.append(answer(row, output="x" * characters))
    told = columns.size_bytes
    real = columns.take().get_total_buffer_size()
    assert 0.5 * real < told < 2.5 * real


def test_what_arrow_cannot_hold_is_mended_and_not_lost() -> None:
    batch = batch_of([answer(0, output="a\ud800b", output_tokens=10**30), answer(1)])
    assert batch.column("output").to_pylist() == ["a?b", "answer 1"]
    assert batch.column("output_tokens").to_pylist() == [2**63 - 1, 1]
