"""Every kind of input through the command line."""

from __future__ import annotations

import csv
import gzip
import json
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from conftest import Simulate
from integration.conftest import MakePlace

Rows = Sequence[Mapping[str, Any]]


def lines(rows: Rows) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def write_zst(path: Path, rows: Rows) -> None:
    path.write_bytes(pa.compress(lines(rows), codec="zstd", asbytes=True))


def write_csv(path: Path, rows: Rows) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_arrow(path: Path, rows: Rows) -> None:
    table = pa.Table.from_pylist(list(rows))
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)


def write_parquet(path: Path, rows: Rows) -> None:
    pa.parquet.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=7)


WRITERS: dict[str, Callable[[Path, Rows], object]] = {
    "a.jsonl": lambda path, rows: path.write_bytes(lines(rows)),
    "b.jsonl.gz": lambda path, rows: path.write_bytes(gzip.compress(lines(rows))),
    "c.jsonl.zst": write_zst,
    "d.csv": write_csv,
    "e.parquet": write_parquet,
    "f.arrow": write_arrow,
}


def test_every_format_is_read_to_its_last_row_and_written_in_another(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(20 * len(WRITERS)), simulate()
    for n, (name, write) in enumerate(WRITERS.items()):
        write(run.folder / name, run.rows[20 * n : 20 * (n + 1)])
    output = run.folder / "out.parquet"
    inputs = [run.folder / name for name in WRITERS]
    ended = run.run(provider.base_url, inputs=inputs, output=output)
    assert ended.code == 0, ended.stderr
    table = pa.parquet.read_table(output)
    assert table["text"].to_pylist() == [row["text"] for row in run.rows]
    assert table["id"].to_pylist() == [row["id"] for row in run.rows]
    assert all(
        said.startswith(f"echo: {row['text']}")
        for said, row in zip(table["output"].to_pylist(), run.rows, strict=True)
    )


def test_files_globs_and_directories_are_read_in_sorted_order(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(100), simulate()
    folder = run.folder / "inputs"
    folder.mkdir()
    names = ["a.jsonl", "b.jsonl.gz", "c.jsonl.zst"]
    for n, name in enumerate(names):
        WRITERS[name](folder / name, run.rows[n * 25 : (n + 1) * 25])
    (run.folder / "x1.jsonl").write_bytes(lines(run.rows[75:90]))
    (run.folder / "x2.jsonl").write_bytes(lines(run.rows[90:]))
    ended = run.run(provider.base_url, inputs=[folder, run.folder / "x*.jsonl"])
    assert ended.code == 0, ended.stderr
    run.check_answers()


def test_standard_input_is_kept_so_that_a_cut_run_resumes_without_it(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(400), simulate(ttft_seconds=0.05)
    command = run.command(provider.base_url, inputs=["-"], max_concurrency=8)
    with run.input.open("rb") as file:
        process = subprocess.Popen(
            command, env=run.environment, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        while provider.stats()["answered_bodies"] < 100:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    ended = run.call(command, run.input.read_bytes())
    assert ended.code == 0, ended.stderr
    assert ended.summary["resumed"] > 0
    run.check_answers()


def test_malformed_rows_are_dead_letters_that_name_file_and_line(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(50), simulate()
    text = run.input.read_text().splitlines()
    text[7] = '{"id": "t-7", "text": '
    text[9] = '{"id": "t-9", "words": "no text here"}'
    run.input.write_text("\ufeff" + "\r\n".join(text))
    ended = run.run(provider.base_url)
    assert ended.code == 3, ended.stderr
    letters = {one["_penstock"]["row"]: one["_penstock"] for one in run.dead_letters()}
    assert set(letters) == {7, 9}
    assert {one["error_class"] for one in letters.values()} == {"invalid_input"}
    assert "in.jsonl:8" in letters[7]["error_message"]
    assert "in.jsonl:10" in letters[9]["error_message"]
    assert provider.stats()["received"] == 48
