"""The export: every row once, in order, beside its own record, or nothing at all."""

from __future__ import annotations

import csv
import errno
import gc
import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ledger.ledger_disk import RecordingDisk, failing
from ledger.ledger_rows import answer, dead, run_directory
from ledger.ledger_run import Run, json_lines, read_lines
from penstock.errors import EXIT_INTERNAL, DiskFull, InputError, LedgerError, OutputError
from penstock.ledger import input_rows, merge
from penstock.ledger.schema import RESULT_SCHEMA
from penstock.sources.columns import Misfit
from penstock.sources.inputs import Inputs


def records(count: int) -> list[dict[str, Any]]:
    return [{"id": f"r-{row}", "text": f"text {row}", "n": row} for row in range(count)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path


def run_of(folder: Path, count: int = 10, **options: Any) -> Run:
    return Run(folder, json_lines(folder / "in" / "a.jsonl", records(count)), **options)


def complete(folder: Path, **options: Any) -> Run:
    """A run of ten rows, of which the fourth is a dead letter."""
    run = run_of(folder, **options)
    run.put(
        [answer(row) for row in (9, 1, 0, 8)],
        [answer(row) for row in (2, 7, 5)],
        [dead(3, http_status=400), answer(6), answer(4)],
    )
    return run


def read_csv(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="") as file:
        return [{**row, "n": int(row["n"]), "row": int(row["row"])} for row in csv.DictReader(file)]


READERS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "o.jsonl": read_lines,
    "o.parquet": lambda path: pq.read_table(path).to_pylist(),
    "o.arrow": lambda path: pa.ipc.open_file(path).read_all().to_pylist(),
    "o.csv": read_csv,
}


@pytest.mark.parametrize("name", READERS)
def test_every_row_stands_beside_its_own_record_in_order(folder: Path, name: str) -> None:
    report = complete(folder).export(name)
    rows = READERS[name](folder / name)
    assert [(row["row"], row["text"], row["n"], row["id"]) for row in rows] == [
        (row, f"text {row}", row, f"r-{row}") for row in range(10)
    ]
    assert [row["output"] for row in rows if row["row"] != 3] == [
        f"answer {row}" for row in range(10) if row != 3
    ]
    assert list(rows[0]) == ["text", "n", *RESULT_SCHEMA.names]
    assert report.output == folder / name
    assert report.output_bytes == (folder / name).stat().st_size
    assert (report.figures.rows, report.figures.succeeded, report.figures.failed) == (10, 9, 1)


def test_what_was_bought_twice_is_told(folder: Path) -> None:
    run = complete(folder)
    run.put([answer(0), answer(9)], worker=7)
    figures = run.export().figures
    assert (figures.rows, figures.duplicates) == (10, 2)


def test_keep_and_prefix_decide_the_columns(folder: Path) -> None:
    complete(folder, keep="n", prefix="p_").export("o.parquet")
    assert pq.read_schema(folder / "o.parquet").names == [
        "n",
        *("p_" + name for name in RESULT_SCHEMA.names),
    ]


def test_dead_letters_are_records_again(folder: Path) -> None:
    report = complete(folder).export()
    assert report.failed_output == folder / "out.jsonl.failed.jsonl"
    (letter,) = read_lines(report.failed_output)
    assert letter == {
        "id": "r-3",
        "text": "text 3",
        "n": 3,
        "_penstock": {
            "row": 3,
            "error_class": "invalid_request",
            "error_message": "no",
            "attempts": 1,
            "finished_at": "2023-11-14T22:13:20.000003Z",
            "http_status": 400,
        },
    }


def test_no_dead_letters_leave_no_file_and_remove_an_earlier_one(folder: Path) -> None:
    run = complete(folder)
    failed = run.export().failed_output
    assert failed is not None
    run.put([answer(3, generation=1)], epoch=2)
    report = run.export()
    assert report.failed_output is None
    assert not failed.exists()
    assert read_lines(folder / "out.jsonl")[3]["generation"] == 1


@pytest.mark.parametrize("row", [10, 11])
def test_a_result_beyond_the_end_of_the_input_is_an_error_and_nothing_is_written(
    folder: Path, row: int
) -> None:
    run = complete(folder)
    run.put([answer(row)], epoch=2)
    with pytest.raises(LedgerError, match=f"row {row} has a result, but the input ends after 10 r"):
        run.export()
    assert not (folder / "out.jsonl").exists()
    assert run.export(partial=True).figures.rows == 10
    assert run.export(limit=10).figures.rows == 10


def test_a_second_export_is_the_same_to_the_byte(folder: Path) -> None:
    run = complete(folder)
    run.export("o.parquet")
    first = (folder / "o.parquet").read_bytes()
    run.export("o.parquet")
    assert (folder / "o.parquet").read_bytes() == first


def test_a_missing_row_is_named_and_nothing_is_written(folder: Path) -> None:
    run = run_of(folder)
    run.put([answer(row) for row in range(10) if row != 6])
    with pytest.raises(LedgerError, match="row 6 ") as caught:
        run.export()
    assert caught.value.exit_code == EXIT_INTERNAL
    assert {path.name for path in folder.iterdir()} == {"in", "out.run"}


def test_rows_missing_at_the_end_are_missing_too(folder: Path) -> None:
    run = run_of(folder)
    run.put([answer(row) for row in range(9)])
    with pytest.raises(LedgerError, match="row 9 "):
        run.export()


def test_partial_takes_what_is_there_beside_its_own_records(folder: Path) -> None:
    run = run_of(folder)
    run.put([answer(8), dead(1), answer(2)], close=False)
    report = run.export(partial=True)
    assert [(row["row"], row["text"]) for row in read_lines(folder / "out.jsonl")] == [
        (1, "text 1"),
        (2, "text 2"),
        (8, "text 8"),
    ]
    assert [letter["n"] for letter in read_lines(folder / "out.jsonl.failed.jsonl")] == [1]
    assert report.figures.rows == 3


def test_partial_of_a_run_without_results_is_empty(folder: Path) -> None:
    assert run_of(folder).export("o.parquet", partial=True).figures.rows == 0
    assert pq.read_table(folder / "o.parquet").num_rows == 0


def test_a_limit_ends_the_output(folder: Path) -> None:
    run = complete(folder)
    assert run.export(limit=5).figures.rows == 5
    assert [row["row"] for row in read_lines(folder / "out.jsonl")] == [0, 1, 2, 3, 4]


def test_the_jobs_own_limit_holds_where_none_is_given(folder: Path) -> None:
    run = run_of(folder, limit=2)
    run.put([answer(0), answer(1)])
    assert run.export().figures.rows == 2


def test_a_changed_record_is_refused(folder: Path) -> None:
    run = complete(folder)
    changed = records(10)
    changed[5]["text"] = "TEXT 5"
    json_lines(folder / "in" / "a.jsonl", changed)
    with pytest.raises(InputError, match=r"a\.jsonl"):
        run.export()


def test_a_change_that_the_sample_misses_is_found_by_the_shards_checksum(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = complete(folder)
    changed = records(10)
    changed[5]["text"] = "TEXT 5"
    json_lines(folder / "in" / "a.jsonl", changed)
    monkeypatch.setattr("penstock.sources.inputs.Inputs.check", lambda self, frozen: None)
    with pytest.raises(InputError, match="rows 4 to 7"):
        run.export()


def test_what_was_appended_to_the_input_since_is_not_missing(folder: Path) -> None:
    run = complete(folder)
    with (folder / "in" / "a.jsonl").open("ab") as file:
        file.write(b'{"id": "new", "text": "new", "n": 11}\n')
    assert run.export().figures.rows == 10


def test_a_type_guessed_too_narrow_becomes_wider(folder: Path) -> None:
    rows = records(10)
    rows[8]["n"] = 0.5
    path = json_lines(folder / "in" / "a.jsonl", rows)
    run = Run(folder, path, guessed={"n": "int", "text": "null"})
    run.put([answer(row) for row in range(10)])
    report = run.export("o.parquet")
    table = pq.read_table(folder / "o.parquet")
    assert table["n"].to_pylist()[7:9] == [7.0, 0.5]
    assert table["text"].to_pylist() == [f"text {row}" for row in range(10)]
    assert report.widened == [
        "text is text, for the value in row 0",
        "n is double, for the value in row 8",
    ]
    assert report.figures.rows == 10


def test_a_value_that_no_type_holds_ends_the_export_with_its_row(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def batch_of(*of: Any) -> None:
        raise Misfit("n", 5, "text")

    run = complete(folder)
    monkeypatch.setattr(input_rows, "batch_of", batch_of)
    with pytest.raises(LedgerError, match="row 5: the value of 'n'"):
        run.export()


def test_malformed_rows_have_no_columns_and_stand_whole_among_the_dead_letters(
    folder: Path,
) -> None:
    path = folder / "in" / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\n{"text": \xff\n{"text": "c"}\n')
    run = Run(folder, path)
    run.put([answer(0), dead(1, "invalid_input"), answer(2)])
    run.export()
    assert [row["text"] for row in read_lines(folder / "out.jsonl")] == ["a", None, "c"]
    (letter,) = read_lines(folder / "out.jsonl.failed.jsonl")
    assert list(letter) == ["_penstock"]
    assert letter["_penstock"]["raw"] == '{"text": \ufffd'


def test_dead_letters_of_columns_are_records_too(folder: Path) -> None:
    path = folder / "in" / "a.csv"
    path.write_text('name,text\na,"x, y"\nb,z\n')
    run = Run(folder, path)
    run.put([dead(0), answer(1)])
    run.export()
    (letter,) = read_lines(folder / "out.jsonl.failed.jsonl")
    assert (letter["name"], letter["text"]) == ("a", "x, y")


def batch_lines(folder: Path) -> Path:
    rows = [
        {
            "custom_id": f"c-{row}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "m", "messages": [], "seed": row},
        }
        for row in range(3)
    ]
    return json_lines(folder / "in" / "batch.jsonl", rows)


def batch_run(folder: Path) -> Run:
    run = Run(folder, batch_lines(folder))
    run.put(
        [
            answer(0, id="c-0", http_status=200, response='{"id": "x"}'),
            dead(1, id="c-1", http_status=400, response='{"error": {}}'),
            answer(2, id="c-2", http_status=200, response='{"id": "z"}'),
        ]
    )
    return run


def test_batch_lines_become_batch_output_lines(folder: Path) -> None:
    batch_run(folder).export()
    lines = read_lines(folder / "out.jsonl")
    assert [line["custom_id"] for line in lines] == ["c-0", "c-1", "c-2"]
    assert [line["response"]["body"] for line in lines] == [{"id": "x"}, {"error": {}}, {"id": "z"}]
    (letter,) = read_lines(folder / "out.jsonl.failed.jsonl")
    assert list(letter) == ["custom_id", "method", "url", "body", "_penstock"]
    assert letter["body"]["seed"] == 1


def test_batch_lines_to_another_format_are_columns(folder: Path) -> None:
    batch_run(folder).export("o.parquet")
    assert pq.read_table(folder / "o.parquet")["id"].to_pylist() == ["c-0", "c-1", "c-2"]


def test_a_file_that_came_in_the_way_is_not_replaced(folder: Path) -> None:
    run = complete(folder)
    (folder / "out.jsonl").write_bytes(b"mine")
    with pytest.raises(OutputError):
        run.export()
    assert (folder / "out.jsonl").read_bytes() == b"mine"
    run.export(overwrite=True)
    run.export()
    assert len(read_lines(folder / "out.jsonl")) == 10


def test_what_a_symbolic_link_points_to_is_replaced_and_not_the_link(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    link = folder / "out.jsonl"
    link.symlink_to(folder / "elsewhere" / "real.jsonl")
    run = complete(folder)
    run.export()
    run.export()
    assert link.is_symlink()
    assert len(read_lines(folder / "elsewhere" / "real.jsonl")) == 10


def test_both_files_are_durable_before_either_has_its_name(folder: Path) -> None:
    disk = RecordingDisk()
    complete(folder).export(disk=disk)
    names = [".out.jsonl.failed.jsonl.5eed.tmp", ".out.jsonl.5eed.tmp"]
    durable = max(disk.steps.index(f"fsync {name}") for name in names)
    published = [disk.steps.index(f"rename out.jsonl{end}") for end in (".failed.jsonl", "")]
    remembered = [at for at, step in enumerate(disk.steps) if step == "rename exports.json"]
    assert durable < remembered[0] < published[0] < remembered[1] < published[1]


@pytest.mark.parametrize(
    "wrong",
    [
        failing("write", ".out.jsonl.5eed.tmp", errno.ENOSPC),
        failing("fsync", ".out.jsonl.failed.jsonl.5eed.tmp", errno.ENOSPC),
        failing("rename", "out.jsonl", errno.ENOSPC),
    ],
)
def test_a_full_disk_leaves_the_output_before_as_it_was(
    folder: Path, wrong: Callable[[str, Path], int | None]
) -> None:
    run = complete(folder)
    run.export()
    before = (folder / "out.jsonl").read_bytes()
    run.put([answer(3, generation=1)], epoch=2)
    with pytest.raises(DiskFull):
        run.export(disk=RecordingDisk(wrong))
    assert (folder / "out.jsonl").read_bytes() == before
    assert not [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]
    run.export()


def test_progress_is_told_rows_up_to_the_last(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_rows, "RANGE_ROWS", 4)
    told: list[int] = []
    complete(folder).export(progress=told.append)
    assert told == [4, 8, 10]


def test_memory_does_not_grow_with_the_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_rows, "RANGE_ROWS", 500)
    monkeypatch.setattr(merge, "RANGE_ROWS", 500)

    def peak_bytes(path: Path, count: int) -> int:
        (path / "in").mkdir(parents=True)
        run = run_of(path, count, shard_rows=100)
        for first in range(0, count, 100):
            results = [answer(row, output="x" * 500) for row in range(first, first + 100)]
            run.put(results, worker=first // 100)
        gc.collect()  # what other tests left would be given back meanwhile
        tracemalloc.start()
        pool = pa.default_memory_pool()
        held = pool.bytes_allocated()
        run.export("o.parquet", progress=lambda rows: peaks.append(pool.bytes_allocated() - held))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak + max(peaks)

    peaks = [0]
    small = peak_bytes(folder / "small", 1_500)
    peaks = [0]
    assert peak_bytes(folder / "large", 6_000) < 1.3 * small


def test_standard_input_is_read_again_from_where_it_was_kept(folder: Path) -> None:
    run_dir = run_directory(folder)
    data = msgspec.json.Encoder().encode_lines(records(6))
    inputs = Inputs.open(["-"], spool=run_dir.spool, stdin=io.BytesIO(data))
    run = Run(folder, inputs=inputs)
    run.put([answer(row) for row in range(6)])
    assert run.export().figures.rows == 6
    assert read_lines(folder / "out.jsonl")[5]["text"] == "text 5"
