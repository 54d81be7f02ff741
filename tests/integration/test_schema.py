"""Answers that have to match a schema: whole runs, interrupted and resumed, in every format."""

from __future__ import annotations

import csv
import json
import signal

import jsonschema_rs
import pyarrow as pa
import pyarrow.parquet as pq

from conftest import Simulate
from integration.conftest import MakePlace
from integration.place import Place, read_lines
from penstock.ledger.export import export

SCHEMA = {
    "type": "object",
    "properties": {
        "said": {"type": "string"},
        "kind": {"enum": ["a", "b"]},
        "parts": {"type": "array", "items": {"type": "integer"}},
    },
    "required": ["said", "kind", "parts"],
}


def with_schema(run: Place) -> Place:
    (run.folder / "schema.json").write_text(json.dumps(SCHEMA))
    return run


def test_answers_match_or_are_dead_letters_whatever_interrupts_the_run(
    place: MakePlace, simulate: Simulate
) -> None:
    run, rows = with_schema(place(300)), 300
    provider = simulate(invalid_output=0.4, ttft_seconds=0.1, ttft_spread=0.0)
    options = {"schema": run.folder / "schema.json", "max_output_retries": 1}
    with run.start(provider.base_url, max_concurrency=16, **options) as live:
        live.until(lambda: provider.stats()["answered_bodies"] > 100)
        live.signal(signal.SIGKILL)
        live.wait()
    other = run.run(provider.base_url, schema='{"type": "object"}')
    assert other.code == 2 and "schema: " in other.stderr
    ended = run.run(provider.base_url, **options)
    assert ended.code == 3, ended.stderr
    lines = run.results()
    assert [one["row"] for one in lines] == list(range(rows))
    bad = [one for one in lines if one["outcome"] == "failed"]
    assert 20 < len(bad) < 90  # 0.4 squared
    for one in lines:
        if one in bad:
            assert (one["error_class"], one["attempts"], one["parsed"]) == (
                "invalid_output",
                2,
                None,
            )
            assert one["output"] and one["error_message"]
        else:
            jsonschema_rs.validate(SCHEMA, one["parsed"])
            twice = one["attempts"] == 2
            assert twice or run.rows[one["row"]]["text"] in one["parsed"]["said"]
            assert (one["input_tokens"] > 40) is twice  # what the first answer took is in it
    letters = run.dead_letters()
    assert [one["_penstock"]["row"] for one in letters] == [one["row"] for one in bad]
    assert letters[0]["_penstock"]["output"] == bad[0]["output"]
    check_formats(run, lines)


def check_formats(run: Place, lines: list[dict[str, object]]) -> None:
    """The other formats say the same as JSON lines."""
    parsed = [one["parsed"] for one in lines]
    for name in ("o.parquet", "o.arrow", "o.csv", "again.jsonl"):
        path = run.folder / name
        export(run.run_dir, path)
        if name.endswith(".parquet"):
            table = pq.read_table(path)
        elif name.endswith(".arrow"):
            with pa.ipc.open_file(path) as file:
                table = file.read_all()
        elif name.endswith(".csv"):
            with path.open(newline="") as text:
                cells = [row["parsed"] for row in csv.DictReader(text)]
            assert [json.loads(cell) if cell else None for cell in cells] == parsed
            continue
        else:
            assert [one["parsed"] for one in read_lines(path)] == parsed
            continue
        assert table["parsed"].to_pylist() == parsed


def test_a_cut_answer_that_does_not_match_is_a_dead_letter_and_not_asked_for_again(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = with_schema(place(20)), simulate()
    schema = run.folder / "schema.json"
    ended = run.run(provider.base_url, schema=schema, param="max_tokens=2", allow_failed="100%")
    assert ended.summary["failed_by_class"]["truncated"]["count"] == 20
    assert provider.stats()["received"] == 20
    assert all(one["truncated"] and one["output"] for one in run.results())
