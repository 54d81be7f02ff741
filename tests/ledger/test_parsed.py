"""The columns of parsed answers, in every format."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ledger.ledger_rows import answer, dead
from ledger.ledger_run import Run, json_lines, read_lines
from penstock.errors import OutputError
from penstock.ledger.output_columns import output_columns
from penstock.ledger.parsed import parsed_for
from penstock.ledger.results import results
from penstock.sources.schema import Column, InputSchema

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "label": {"enum": ["a", "b"]},
        "score": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "any": {},
    },
}
FIRST = '{\n "label": "a", "score": 1, "tags": ["x"], "any": {"k": 1}, "extra": 2}'
OUTPUTS = [FIRST, '```json\n{"label": "b", "score": null}\n```', '{"label": "a"}', "no json"]
TYPED = [
    {"label": "a", "score": 1.0, "tags": ["x"], "any": '{"k":1}'},
    {"label": "b", "score": None, "tags": None, "any": None},
    None,
    None,
]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Four rows: two that match, a dead letter, and one of a time without a schema."""
    (tmp_path / "in").mkdir()
    file = json_lines(tmp_path / "in" / "a.jsonl", [{"n": row} for row in range(4)])
    made = Run(tmp_path, file, schema=SCHEMA)
    rows = [answer(row, output=text) for row, text in enumerate(OUTPUTS)]
    rows[2] = dead(2, "invalid_output", output=OUTPUTS[2])
    made.put(rows)
    return made


def test_a_typed_format_has_one_struct(run: Run) -> None:
    run.export("o.parquet")
    table = pq.read_table(run.path / "o.parquet")
    assert table["parsed"].to_pylist() == TYPED
    assert table.schema.names[table.schema.names.index("output") + 1] == "parsed"
    run.export("o.arrow")
    with pa.ipc.open_file(run.path / "o.arrow") as file:
        assert file.read_all()["parsed"].to_pylist() == TYPED


def test_json_lines_have_the_object_as_it_was_answered(run: Run) -> None:
    run.export("o.jsonl")
    found = [line["parsed"] for line in read_lines(run.path / "o.jsonl")]
    assert found == [json.loads(FIRST), {"label": "b", "score": None}, None, None]


def test_csv_has_json_text(run: Run) -> None:
    run.export("o.csv")
    with (run.path / "o.csv").open(newline="") as file:
        cells = [row["parsed"] for row in csv.DictReader(file)]
    assert [json.loads(cell) if cell else None for cell in cells] == [
        json.loads(FIRST),
        {"label": "b", "score": None},
        None,
        None,
    ]


def test_a_dead_letter_keeps_the_answer_that_did_not_match(run: Run) -> None:
    run.export("o.parquet")
    [letter] = read_lines(run.path / "o.parquet.failed.jsonl")
    assert letter["_penstock"]["output"] == OUTPUTS[2]


@pytest.mark.parametrize(("suffix", "nested"), [(".jsonl", {"k": 1}), (".csv", '{"k":1}')])
def test_flat_answers_have_a_column_for_each_property(
    tmp_path: Path, suffix: str, nested: Any
) -> None:
    (tmp_path / "in").mkdir()
    file = json_lines(tmp_path / "in" / "a.jsonl", [{"n": 0}, {"n": 1}])
    run = Run(tmp_path, file, schema=SCHEMA, flatten=True, prefix="p_")
    run.put([answer(0, output=FIRST), answer(1, output="[]")])
    run.export("o" + suffix)
    if suffix == ".jsonl":
        first, last = read_lines(run.path / "o.jsonl")
        assert (first["p_tags"], last["p_tags"]) == (["x"], None)
    else:
        with (run.path / "o.csv").open(newline="") as text:
            first, last = csv.DictReader(text)
        assert (first["p_score"], last["p_score"]) == ("1", "")
    assert (first["p_label"], first["p_any"]) == ("a", nested)
    assert "p_parsed" not in first


def test_results_have_the_struct_too(tmp_path: Path, run: Run) -> None:
    [batch] = list(results(run.run_dir.path, partial=True))
    assert batch["parsed"].to_pylist() == TYPED


def columns_of(inputs: tuple[str, ...], schema: Any, **options: Any) -> list[str]:
    known = InputSchema(tuple(Column(name, "text") for name in inputs))
    parsed = parsed_for(schema, options.pop("flatten", False), Path("o.parquet"))
    return list(output_columns(known, parsed=parsed, **options).schema.names)


def test_names_that_collide_are_refused_before_the_first_request() -> None:
    with pytest.raises(OutputError, match="parsed"):
        columns_of(("parsed",), SCHEMA)
    assert columns_of(("parsed",), None)[0] == "parsed"
    with pytest.raises(OutputError, match="label") as caught:
        columns_of(("label",), SCHEMA, flatten=True)
    assert "--prefix penstock_" in caught.value.next_step
    assert "x_label" in columns_of(("label",), SCHEMA, flatten=True, prefix="x_")
    with pytest.raises(OutputError, match=r"--flatten: properties of the answer.*: model"):
        columns_of((), {"properties": {"model": {}}}, flatten=True)
    with pytest.raises(OutputError, match="--flatten: the schema is not of an object"):
        columns_of((), {"type": "array"}, flatten=True)
