"""Known results: found by their requests' hashes, as they stand, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import penstock.ledger.known as known
from ledger.ledger_rows import RUN, answer, dead, put, run_directory
from ledger.ledger_run import Run, json_lines
from penstock.disk import Disk
from penstock.errors import InputError
from penstock.ledger.known import KnownResults
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.shelving import own_shelf, reuse_shelf
from penstock.record import DUPLICATE, REUSED, Result


def name(number: int) -> str:
    """A request's hash."""
    return f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}"


def asked(row: int, **changes: object) -> Result:
    return answer(row, request_hash=name(row), **changes)


@pytest.fixture
def place(tmp_path: Path) -> RunDirectory:
    return run_directory(tmp_path)


def test_results_are_found_by_what_was_asked_over_all_segments(
    place: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "CHUNK_ENTRIES", 7)  # sorted in several runs
    monkeypatch.setattr(known, "BUFFER_BYTES", 80)  # not a whole number of entries
    monkeypatch.setattr(known, "BATCHES_HELD", 2)
    monkeypatch.setattr(known, "RESULTS_HELD", 3)
    for worker in range(3):
        rows = range(worker * 40, worker * 40 + 40)
        put(
            place,
            *([asked(row) for row in rows[at : at + 8]] for at in range(0, 40, 8)),
            worker=worker,
        )
    shelf = own_shelf(Disk(), place, RUN, 0)
    assert (shelf.entries, len(shelf.files), shelf.source) == (120, 3, DUPLICATE)
    found = KnownResults(shelf)
    assert len(found) == 120
    for row in (*range(0, 120, 7), 0, 119, 119, 0, 0, 40, 80):  # 40 and 80 begin files, as 0 does
        assert found.find(name(row)) == asked(row)
    assert (len(found._batches), len(found._results)) == (2, 3)
    for strange in (name(120), "", "xyz", "ab" * 15):
        assert found.find(strange) is None
    assert [path.name for path in place.known.iterdir()] == ["own.index"]


def test_of_this_run_failures_are_known_too_but_not_duplicates_or_other_generations(
    place: RunDirectory,
) -> None:
    first = asked(0)
    put(place, [first, dead(1, request_hash=name(1)), dead(2)])
    put(place, [asked(0, output="a copy", source=DUPLICATE), asked(3, source=DUPLICATE)], worker=2)
    put(place, [asked(4, generation=1)], worker=3)
    found = KnownResults(own_shelf(Disk(), place, RUN, 0))
    assert len(found) == 2
    assert found.find(name(0)) == first and found.find(name(3)) is None
    failure = found.find(name(1))
    assert failure is not None and failure.error_class == "invalid_request"
    later = KnownResults(own_shelf(Disk(), place, RUN, 1))
    assert (len(later), later.find(name(4))) == (1, asked(4, generation=1))


def test_an_answer_is_known_rather_than_a_failure_to_the_same(place: RunDirectory) -> None:
    put(place, [dead(0, request_hash=name(7)), answer(1, request_hash=name(7))])
    found = KnownResults(own_shelf(Disk(), place, RUN, 0)).find(name(7))
    assert found is not None and (found.row, found.outcome) == (1, "succeeded")


def test_an_empty_shelf_knows_nothing(place: RunDirectory) -> None:
    shelf = own_shelf(Disk(), place, RUN, 0)
    assert (shelf.entries, KnownResults(shelf).find(name(1))) == (0, None)


def test_what_is_no_longer_as_it_was_is_not_known(place: RunDirectory) -> None:
    put(place, [asked(0)], [asked(1)])
    shelf = own_shelf(Disk(), place, RUN, 0)
    path = Path(shelf.files[0])
    whole = path.read_bytes()
    turned = whole.replace(name(0).encode(), name(1).encode())
    path.write_bytes(turned)
    assert KnownResults(shelf).find(name(0)) is None
    path.write_bytes(whole[: len(whole) // 4])
    assert KnownResults(shelf).find(name(1)) is None
    path.unlink()
    with pytest.raises(OSError):
        KnownResults(shelf)


def earlier(folder: Path, output: str) -> Run:
    """A complete run whose output is written."""
    given = [{"id": f"r-{row}", "text": f"text {row}"} for row in range(6)]
    run = Run(folder, json_lines(folder / "in.jsonl", given), prefix="p_", output=output)
    results = [asked(row, response="{}" if row < 2 else None) for row in range(5)]
    run.put([*results, dead(5, request_hash=name(5))])
    run.export(output)
    return run


@pytest.mark.parametrize("output", ["old.parquet", "old.arrow"])
def test_answers_of_a_run_and_of_its_output_are_the_same(
    tmp_path: Path, place: RunDirectory, output: str
) -> None:
    (tmp_path / "a").mkdir()
    run = earlier(tmp_path / "a", output)
    shelves = [
        reuse_shelf(Disk(), place, [str(source)], with_response=False)
        for source in (run.run_dir.path, run.path / output)
    ]
    assert {(shelf.entries, shelf.source) for shelf in shelves} == {(5, REUSED)}
    found = KnownResults(shelves[1])
    for row in range(5):
        expected = asked(row, response="{}" if row < 2 else None)
        assert found.find(name(row)) == expected
    assert found.find(name(5)) is None  # a failure was not paid
    both = reuse_shelf(
        Disk(), place, [str(run.run_dir.path), str(run.path / output)], with_response=True
    )
    assert both.entries == 4  # of either those with a response


def test_an_output_of_an_older_version_lacks_columns_and_is_known_all_the_same(
    tmp_path: Path, place: RunDirectory
) -> None:
    path = tmp_path / "old.parquet"
    table = pa.table(
        {
            "text": ["a"],
            "outcome": ["succeeded"],
            "output": ["an answer"],
            "request_hash": [name(1)],
        }
    )
    pq.write_table(table, path)
    found = KnownResults(reuse_shelf(Disk(), place, [str(path)], with_response=False)).find(name(1))
    assert found is not None
    assert (found.output, found.model, found.truncated, found.attempts) == (
        "an answer",
        None,
        False,
        0,
    )


def test_what_is_neither_run_nor_output_is_refused(tmp_path: Path, place: RunDirectory) -> None:
    pq.write_table(pa.table({"request_hash": ["a"]}), tmp_path / "strange.parquet")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    (tmp_path / "rows.jsonl").write_text("{}\n")
    for path in ("strange.parquet", "cut.parquet", "rows.jsonl", "none.arrow", "."):
        with pytest.raises(InputError, match="--reuse"):
            reuse_shelf(Disk(), place, [str(tmp_path / path)], with_response=False)
