from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from penstock.errors import InputError
from penstock.sources.files import freeze, names_of
from penstock.sources.frozen import FrozenInput, compare
from penstock.sources.resolve import STDIN

ROWS = b'{"a": 1}\n{"a": 2}\n'


def frozen(*paths: Path) -> list[FrozenInput]:
    return [freeze(path, name) for path, name in zip(paths, names_of(paths), strict=True)]


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path in paths:
        path.write_bytes(ROWS)
    return paths


def test_names_are_relative_to_the_folder_in_common(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    assert names_of([tmp_path / "a.jsonl"]) == ["a.jsonl"]
    assert names_of([tmp_path / "a.jsonl", tmp_path / "x/b.jsonl", STDIN]) == [
        "a.jsonl",
        "x/b.jsonl",
        "standard input",
    ]


def test_what_did_not_change_is_accepted(two: list[Path]) -> None:
    old = frozen(*two)
    assert compare(old, frozen(*two), two) == old


def test_copied_and_touched_files_are_the_same(two: list[Path], tmp_path: Path) -> None:
    old = frozen(*two)
    (tmp_path / "elsewhere").mkdir()
    moved = [path.rename(tmp_path / "elsewhere" / f"new-{path.name}") for path in two]
    moved[0].touch()
    kept = compare(old, frozen(*moved), moved)
    assert [one.sample for one in kept] == [one.sample for one in old]


def test_the_last_input_may_grow_and_its_old_end_is_kept(two: list[Path]) -> None:
    old = frozen(*two)
    for times in (1, 2):
        two[1].write_bytes(ROWS * (1 + times))
        new = frozen(*two)
        old = compare(old, new, two)
        assert old[1].size == len(ROWS) * (1 + times)
        assert old[1].cuts == tuple(len(ROWS) * n for n in range(1, times + 1))
        old = compare(old, frozen(*two), two)
        assert len(old[1].cuts) == times, "forgotten by a resuming that found no growth"


def test_growth_after_a_last_row_without_a_newline_is_accepted(two: list[Path]) -> None:
    two[1].write_bytes(ROWS.rstrip())
    old = frozen(*two)
    two[1].write_bytes(ROWS + ROWS)
    assert compare(old, frozen(*two), two)[1].cuts == (len(ROWS) - 1,)


def test_an_input_may_follow(two: list[Path]) -> None:
    assert len(compare(frozen(two[0]), frozen(*two), two)) == 2


def change_first(two: list[Path]) -> None:
    two[0].write_bytes(ROWS.replace(b"1", b"7"))


def grow_first(two: list[Path]) -> None:
    two[0].write_bytes(ROWS + ROWS)


def shrink_last(two: list[Path]) -> None:
    two[1].write_bytes(ROWS[:9])


def rewrite_and_grow_last(two: list[Path]) -> None:
    two[1].write_bytes(ROWS.replace(b"1", b"7") + ROWS)


def lengthen_last_row(two: list[Path]) -> None:
    two[1].write_bytes(ROWS.rstrip() + b" \n")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (change_first, "a.jsonl: its content changed since the run began"),
        (grow_first, "a.jsonl: grew, but is not the last input"),
        (shrink_last, "b.jsonl: was 17 bytes when the run began, is 9 now"),
        (rewrite_and_grow_last, "b.jsonl: its content changed since the run began"),
        (lengthen_last_row, "b.jsonl: its last row was made longer"),
        (lambda two: two[1].unlink(), "b.jsonl: the run began with it, it is missing now"),
    ],
)
def test_any_other_change_is_an_error_that_names_the_file(
    two: list[Path], change: object, what: str
) -> None:
    two[1].write_bytes(ROWS.rstrip())
    old = frozen(*two)
    assert callable(change)
    change(two)
    left = [path for path in two if path.exists()]
    with pytest.raises(InputError, match=re.escape(what)):
        compare(old, frozen(*left), left)


def test_the_same_bytes_in_another_format_are_another_input(two: list[Path]) -> None:
    old = frozen(*two)
    two[1] = two[1].rename(two[1].with_suffix(".csv"))
    with pytest.raises(InputError, match=r"b\.csv: the run began with b\.jsonl in its place"):
        compare(old, frozen(*two), two)


def test_a_compressed_input_may_not_grow(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(ROWS))
    old = frozen(path)
    path.write_bytes(path.read_bytes() + gzip.compress(ROWS))
    with pytest.raises(InputError, match="grew, which only a plain text file may"):
        compare(old, frozen(path), [path])


@pytest.mark.parametrize("at", [0, 300_000, 500_000, -1])
def test_the_sample_sees_head_middle_and_tail(tmp_path: Path, at: int) -> None:
    path = tmp_path / "a.jsonl"
    data = bytearray(b'{"a": "aaaaaaaa"}\n' * 60_000)
    path.write_bytes(data)
    old = frozen(path)
    step = len(data) // 16
    place = at if at in (0, -1) else step * (at // step) + 7
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError):
        compare(old, frozen(path), [path])
