"""The column of vectors: from text to lists of floats, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ledger_run import Run, json_lines
from penstock.errors import LedgerError, OutputError
from penstock.ledger.embedding import Embedding, embedding_for, texts_of
from penstock.ledger.output_columns import output_columns
from penstock.ledger.results import results as read_results
from penstock.ledger.schema import batch_of
from penstock.record import FAILED, SUCCEEDED, Result
from penstock.sources.columns import Misfit
from penstock.sources.schema import Column, InputSchema
from penstock.vector import packed, text_of

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def results(*vectors: list[float] | None) -> pa.RecordBatch:
    """A row of each; without a vector it failed."""
    return batch_of(
        [
            Result(
                row=row,
                outcome=FAILED if numbers is None else SUCCEEDED,
                output=None if numbers is None else text_of(packed(numbers)),
            )
            for row, numbers in enumerate(vectors)
        ]
    )


@given(st.lists(st.none() | st.lists(FLOATS, min_size=3, max_size=3), max_size=20))
def test_vectors_become_lists_of_one_length_and_are_told_from_it_again(
    vectors: list[list[float] | None],
) -> None:
    batch = results(*vectors)
    column = Embedding(3).column(batch)
    column.validate(full=True)
    assert column.type == pa.list_(pa.float32(), 3) and column.to_pylist() == vectors
    assert texts_of(column).to_pylist() == batch["output"].to_pylist()
    assert texts_of(column.slice(1)).to_pylist() == batch["output"].to_pylist()[1:]


@given(st.lists(st.none() | st.lists(FLOATS, min_size=1, max_size=5), max_size=20))
def test_of_any_length_they_are_lists_too(vectors: list[list[float] | None]) -> None:
    column = Embedding().column(results(*vectors))
    column.validate(full=True)
    assert column.type == pa.list_(pa.float32()) and column.to_pylist() == vectors
    assert texts_of(column).to_pylist() == results(*vectors)["output"].to_pylist()


def test_one_of_another_length_widens_the_column() -> None:
    with pytest.raises(Misfit) as caught:
        Embedding(2).column(results([1, 2], None, [1, 2, 3]))
    assert (caught.value.column, caught.value.row) == ("embedding", 2)
    columns = output_columns(InputSchema(), embedding=Embedding(2))
    wider = columns.widened("embedding", caught.value.wider)
    assert wider.embedding == Embedding()
    assert wider.schema.field("embedding").type == pa.list_(pa.float32())


@pytest.mark.parametrize("output", ["a text", "AAAA", ""])
def test_what_is_no_vector_is_null(output: str) -> None:
    batch = batch_of([Result(row=0, outcome=SUCCEEDED, output=output)])
    for embedding in (Embedding(1), Embedding()):
        assert embedding.column(batch).to_pylist() == [None]


def test_it_stands_behind_the_output_which_is_empty_and_has_the_prefix_too() -> None:
    columns = output_columns(InputSchema(), prefix="p_", embedding=Embedding(1))
    names = columns.schema.names
    assert names[names.index("p_output") + 1] == "p_embedding"
    made = pa.RecordBatch.from_arrays(
        columns.result_columns(results([1.0], None)), schema=columns.result_schema
    )
    assert made["p_output"].to_pylist() == [None, None]
    assert made["p_embedding"].to_pylist() == [[1.0], None]


def test_an_input_s_column_of_that_name_collides() -> None:
    schema = InputSchema((Column("embedding", "text"),))
    output_columns(schema)
    with pytest.raises(OutputError, match="embedding"):
        output_columns(schema, embedding=Embedding(1))


@pytest.mark.parametrize(
    ("job", "found"),
    [
        ({}, None),  # of a version that made no vectors
        ({"task": "chat", "dimensions": None}, None),
        ({"task": "embed", "dimensions": None}, Embedding()),
        ({"task": "embed", "dimensions": 5}, Embedding(5)),
    ],
)
def test_a_manifest_says_whether_there_is_one(job: dict[str, Any], found: Any) -> None:
    assert embedding_for(job) == found


def mixed(tmp_path: Path, *vectors: list[float] | None) -> Run:
    """A run of vectors that may be of several lengths."""
    source = json_lines(tmp_path / "a.jsonl", ({"n": row} for row in range(len(vectors))))
    run = Run(tmp_path, source, task="embed")
    run.put(
        [
            Result(
                row=row,
                outcome=FAILED if numbers is None else SUCCEEDED,
                output=None if numbers is None else text_of(packed(numbers)),
            )
            for row, numbers in enumerate(vectors)
        ]
    )
    return run


def test_an_export_finds_how_long_the_vectors_are(tmp_path: Path) -> None:
    run = mixed(tmp_path, None, [1, 2], [3, 4])
    report = run.export("out.arrow")
    with pa.ipc.open_file(run.path / "out.arrow") as file:
        column = file.read_all()["embedding"]
    assert column.type == pa.list_(pa.float32(), 2) and report.widened == []
    assert column.to_pylist() == [None, [1, 2], [3, 4]]


def test_a_vector_that_did_not_count_is_none_and_says_no_length(tmp_path: Path) -> None:
    source = json_lines(tmp_path / "a.jsonl", ({"n": row} for row in range(2)))
    run = Run(tmp_path, source, task="embed")
    run.put(
        [
            Result(row=0, outcome=FAILED, output=text_of(packed([9]))),
            Result(row=1, outcome=SUCCEEDED, output=text_of(packed([1, 2]))),
        ]
    )
    assert run.export("out.arrow").widened == []
    with pa.ipc.open_file(run.path / "out.arrow") as file:
        column = file.read_all()["embedding"]
    assert column.type == pa.list_(pa.float32(), 2)
    assert column.to_pylist() == [None, [1, 2]]


def test_an_export_of_several_lengths_begins_anew_with_lists_of_any_and_says_so(
    tmp_path: Path,
) -> None:
    run = mixed(tmp_path, [1, 2], [3, 4, 5], None)
    report = run.export("out.arrow")
    with pa.ipc.open_file(run.path / "out.arrow") as file:
        column = file.read_all()["embedding"]
    assert column.type == pa.list_(pa.float32())
    assert column.to_pylist() == [[1, 2], [3, 4, 5], None]
    assert report.widened == ["embedding is list<float>, for the value in row 1"]
    with pytest.raises(LedgerError, match="row 1: its vector is not as long"):
        list(read_results(run.run_dir.path, partial=True))


def test_an_export_in_which_all_failed_has_the_column_too(tmp_path: Path) -> None:
    run = mixed(tmp_path, None, None)
    run.export("out.arrow")
    with pa.ipc.open_file(run.path / "out.arrow") as file:
        assert file.read_all()["embedding"].to_pylist() == [None, None]
