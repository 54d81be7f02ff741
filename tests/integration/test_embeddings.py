"""Vectors: whole runs against a provider that fails, interrupted and resumed, in every format."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import Simulate
from integration.place import Place, text_rows
from penstock.cli import call
from penstock.ledger.export import export
from penstock.ledger.results import results
from penstock.simulator.embeddings import embed

DIMENSIONS = 12
EMBED = {"task": "embed", "dimensions": DIMENSIONS, "model": "text-embedding-3-small"}
FAULTS = dict.fromkeys(("throttle", "error_500", "html_500", "garbage", "truncated"), 0.04)


def check_vectors(place: Place, rows: list[dict[str, Any]]) -> list[int]:
    """Every row is there once, in order, with the vector of its own text; returns the failed."""
    assert [one["row"] for one in rows] == list(range(len(place.rows)))
    failed = []
    for given, one in zip(place.rows, rows, strict=True):
        assert one["text"] == given["text"] and one["output"] is None
        if one["outcome"] == "failed":
            failed.append(one["row"])
            assert one["embedding"] is None
        else:
            assert tuple(one["embedding"]) == embed(given["text"], DIMENSIONS), one["row"]
    return failed


def test_each_row_has_its_own_vector_whatever_fails_and_whoever_is_killed(
    tmp_path: Path, simulate: Simulate
) -> None:
    place = Place(tmp_path, text_rows(1200))
    provider = simulate(reject=0.005, retry_after_seconds=0.05, ttft_seconds=0.03, **FAULTS)
    how = {**EMBED, "rows_per_request": 16, "workers": 2, "max_concurrency": 8}
    with place.start(provider.base_url, **how) as live:
        workers = live.until_running(2)
        live.until(lambda: provider.stats()["answered_bodies"] > 15)
        os.kill(workers[0].pid, signal.SIGKILL)
        live.until(lambda: provider.stats()["answered_bodies"] > 40)
        live.signal_all(signal.SIGKILL)
        live.wait()
    ended = place.run(provider.base_url, **how)
    assert ended.code == 3, ended.stderr
    assert ended.summary["resumed"] > 0
    lines = place.results()
    failed = check_vectors(place, lines)
    stats = provider.stats()
    assert (
        sorted(place.rows[row]["text"] for row in failed) == sorted(stats["rejected_texts"]) != []
    )
    letters = place.dead_letters()
    assert [one["_penstock"]["row"] for one in letters] == failed
    assert {one["_penstock"]["error_class"] for one in letters} == {"invalid_request"}
    # Each row is asked for with others: far fewer requests than rows.
    assert stats["received"] < 1200 / 3
    check_formats(place, lines)


def check_formats(place: Place, lines: list[dict[str, Any]]) -> None:
    """The other formats have the same vectors as JSON lines."""
    vectors = [one["embedding"] for one in lines]
    for name in ("o.parquet", "o.arrow", "o.csv"):
        path = place.folder / name
        export(place.run_dir, path)
        if name.endswith(".csv"):
            with path.open(newline="") as file:
                cells = [one["embedding"] for one in csv.DictReader(file)]
            assert [json.loads(cell) if cell else None for cell in cells] == vectors
            continue
        if name.endswith(".parquet"):
            table = pq.read_table(path)
        else:
            with pa.ipc.open_file(path) as file:
                table = file.read_all()
        assert table.schema.field("embedding").type == pa.list_(pa.float32(), DIMENSIONS)
        assert table["embedding"].to_pylist() == vectors
    read = [one for batch in results(place.run_dir) for one in batch["embedding"].to_pylist()]
    assert read == vectors


def test_a_budget_holds_for_vectors(tmp_path: Path, simulate: Simulate) -> None:
    place, provider = Place(tmp_path, text_rows(600)), simulate(ttft_seconds=0.02)
    how = {**EMBED, "rows_per_request": 8, "max_concurrency": 2, "price": "input=1"}
    ended = place.run(provider.base_url, budget_usd=0.001, **how)
    assert ended.code == 5, ended.stderr
    assert 500 < provider.stats()["prompt_tokens"] <= 1100


def test_gemini_makes_the_same_vectors(tmp_path: Path, simulate: Simulate) -> None:
    place, simulator = Place(tmp_path, text_rows(250)), simulate(reject=0.01)
    ended = place.run(simulator.origin, provider="gemini", **EMBED)
    assert ended.code == 3, ended.stderr
    failed = check_vectors(place, place.results())
    assert len(failed) == len(simulator.stats()["rejected_texts"]) > 0


def test_rows_of_the_same_text_are_bought_once_and_earlier_vectors_not_at_all(
    tmp_path: Path, simulate: Simulate
) -> None:
    provider = simulate()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    rows = [{"id": f"r{n}", "text": f"text {n % 100}"} for n in range(1000)]
    first = Place(tmp_path / "a", rows)
    ended = first.run(provider.base_url, dedupe=True, rows_per_request=32, **EMBED)
    assert ended.code == 0, ended.stderr
    lines = first.results()
    assert check_vectors(first, lines) == []
    assert sum(one["source"] == "bought" for one in lines) == 100
    bought = provider.stats()["received"]
    output = tmp_path / "a" / "o.parquet"
    export(first.run_dir, output)
    later = Place(tmp_path / "b", rows[150:50:-1])
    ended = later.run(provider.base_url, reuse=output, **EMBED)
    assert ended.code == 0, ended.stderr
    assert check_vectors(later, later.results()) == []
    assert {one["source"] for one in later.results()} == {"reused"}
    assert provider.stats()["received"] == bought


def test_tokens_and_dollars_add_up_and_the_vectors_themselves_say_how_long_they_are(
    tmp_path: Path, simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    place, provider = Place(tmp_path, text_rows(300)), simulate(embedding_dimensions=DIMENSIONS)
    output = tmp_path / "o.arrow"
    how = {"task": "embed", "rows_per_request": 64, "price": "input=0.02"}
    ended = place.run(provider.base_url, output=output, run_dir=place.run_dir, **how)
    assert ended.code == 0, ended.stderr
    with pa.ipc.open_file(output) as file:
        table = file.read_all()
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), DIMENSIONS)
    rows = table.to_pylist()
    assert check_vectors(place, rows) == []
    stats = provider.stats()
    assert sum(one["input_tokens"] for one in rows) == stats["prompt_tokens"]
    assert sum(round(one["cost_usd"] * 1e12) for one in rows) == stats["prompt_tokens"] * 20_000
    assert stats["received"] == 5 and {one["attempts"] for one in rows} == {1}
    # Other commands speak of vectors too.
    told = said(capsys, "show", place.run_dir, "--row", 7)
    assert f"[{DIMENSIONS} floats]" in told and place.rows[7]["text"] in told
    found = json.loads(said(capsys, "show", place.run_dir, "--row", 7, "--json"))
    assert tuple(found["copies"][0]["embedding"]) == embed(place.rows[7]["text"], DIMENSIONS)
    for command in ("status", "why", "verify"):
        assert said(capsys, command, place.run_dir)
    assert "100 % of 300 answers" in said(capsys, "diff", place.run_dir, place.run_dir)


def said(capsys: pytest.CaptureFixture[str], *words: Any) -> str:
    """What one of penstock's commands prints."""
    assert call(list(map(str, words))) == 0
    return capsys.readouterr().out
