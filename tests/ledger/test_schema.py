"""The columns of a segment and the builder of batches."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ledger.ledger_rows import answer, dead
from penstock.ledger.digest import digest
from penstock.ledger.manifest import FORMAT_VERSION
from penstock.ledger.schema import (
    RESULT_SCHEMA,
    RESULT_SCHEMA_HASH,
    batch_of,
    size_of,
)
from penstock.record import Result


def test_the_columns_are_the_fields_of_a_result_in_their_order() -> None:
    assert tuple(RESULT_SCHEMA.names) == Result.__struct_fields__


def test_the_schema_changes_only_together_with_the_format_version() -> None:
    assert (FORMAT_VERSION, RESULT_SCHEMA_HASH) == (2, "92b3dba952ec1b00")


def test_results_come_back_as_they_went_in() -> None:
    results = [answer(3), dead(1, http_status=400), answer(2, cost_usd=None, id=None)]
    batch = batch_of(results)
    assert batch.schema == RESULT_SCHEMA
    batch.validate(full=True)
    found = batch.to_pylist()
    for row in found:
        row["finished_at"] = int(row["finished_at"].timestamp() * 1_000_000)
    assert [Result(**row) for row in found] == results


def test_of_no_results_there_is_a_batch_too() -> None:
    assert batch_of([]).num_rows == 0


@pytest.mark.parametrize("characters", [0, 500, 100_000])
def test_the_size_told_is_about_that_of_the_batch(characters: int) -> None:
    results = [answer(row, output="x" * characters) for row in range(256)]
    told = sum(map(size_of, results))
    real = batch_of(results).serialize().size
    assert 0.5 * real < told < 2.5 * real


def test_what_arrow_cannot_hold_is_mended_and_not_lost() -> None:
    batch = batch_of([answer(0, output="a\ud800b", output_tokens=10**30), answer(1)])
    assert batch.column("output").to_pylist() == ["a?b", "answer 1"]
    assert batch.column("output_tokens").to_pylist() == [2**63 - 1, 1]


def test_the_digest_of_a_batch_is_that_of_what_a_reader_finds() -> None:
    batch = batch_of([dead(row) for row in range(256)])
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, batch.schema) as writer:
        writer.write_batch(batch)
    found = pa.ipc.open_stream(stream.getvalue()).read_next_batch()
    assert found.equals(batch)
    assert digest(found) == digest(batch)
