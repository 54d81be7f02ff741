"""Rows of hostile files: none is lost, none is merged with its neighbour, each bad one is one."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import InputError
from penstock.record import Record
from penstock.sources.inputs import Inputs
from penstock.sources.record import records_of
from torture.conftest import Figures
from torture.test_fuzz import SETTINGS

MAX_LINE_BYTES: Final = 2_000

GOOD: Final = st.builds(
    lambda number, text: json.dumps({"n": number, "text": text}).encode(),
    st.integers(-(2**70), 2**70),
    st.text(max_size=20),
)
BAD: Final = st.sampled_from(
    [
        b"{",
        b"}",
        b'"',
        b"\0",
        b"\0row of 12 bytes, xxh3 0123456789abcdef",
        b"null",
        b"[1, 2]",
        b'{"n": NaN}',
        b'{"n": -Infinity}',
        b'{"n": 1e999}',
        b'{"n": ' + b"9" * 1_900 + b"e999}",
        b'{"n": 1} {"n": 2}',
        b'{"n": 1}\0',
        b"\xef\xbb\xbf" + b'{"n": 1}',
        b'{"n": "\xff"}',
        b'{"n": "\xed\xa0\x80"}',
        b'{"n": "\\ud800"}',
        b'{"n": "\t"}',
        b'{"n": ' + b"[" * 1_500,
        b'{"n": ' * 300,
        b'{"text": "' + b"x" * MAX_LINE_BYTES + b'"}',
        b"'single'",
        b"\x1f\x8b\x08",
        b"PAR1",
    ]
)
BLANK: Final = st.sampled_from([b"", b" ", b"\t", b"\r"])
ENDS: Final = st.sampled_from([b"\n", b"\r\n"])

# Each line, and whether it is a good row, a bad one, or none.
LINES: Final = st.lists(
    st.one_of(
        st.tuples(st.just("good"), GOOD),
        st.tuples(st.just("bad"), BAD),
        st.tuples(st.just("blank"), BLANK),
    ),
    max_size=20,
)


def packed(data: bytes, suffix: str, parts: int) -> bytes:
    """Data as a file of that suffix, in several members or frames."""
    size = len(data) // parts + 1
    cut = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
    if suffix == ".gz":
        return b"".join(gzip.compress(part, mtime=0) for part in cut)
    return b"".join(bytes(pa.compress(part, "zstd")) for part in cut)


def records(path: Path, rows: int, max_bytes: int) -> list[Record]:
    inputs = Inputs.open([str(path)], max_line_bytes=MAX_LINE_BYTES)
    shards = inputs.shards(rows=rows, max_bytes=max_bytes)
    return [record for shard in shards for record in records_of(shard)]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_bad_row_is_one_record_with_a_problem_between_sound_neighbours(
    tmp_path: Path, figures: Figures, long: bool, suffix: str
) -> None:
    path, done = tmp_path / f"in.jsonl{suffix}", 0

    @settings(max_examples=2_000 if long else 80, **SETTINGS)
    @given(LINES, ENDS, st.booleans(), st.integers(1, 5), st.integers(1, 400), st.integers(1, 4))
    def play(
        lines: list[tuple[str, bytes]], end: bytes, ended: bool, rows: int, size: int, parts: int
    ) -> None:
        nonlocal done
        done += 1
        first = [("good", b'{"n": 0, "text": ""}')]  # or the file might look like none of lines
        every = [*first, *lines]
        data = end.join(line for _, line in every) + (end if ended else b"")
        path.write_bytes(packed(data, suffix, parts) if suffix else data)
        check(every, records(path, rows, size), path.name)

    play()
    figures(fuzz_examples=done)


def check(lines: Sequence[tuple[str, bytes]], found: Sequence[Record], name: str) -> None:
    expected = [(at, kind, line) for at, (kind, line) in enumerate(lines, 1) if kind != "blank"]
    assert [record.row for record in found] == list(range(len(expected)))
    for record, (number, kind, line) in zip(found, expected, strict=True):
        assert record.where == f"{name}:{number}"
        if kind == "good":
            assert record.fields == json.loads(line)
        else:
            assert record.problem
            assert record.fields is None


CELLS: Final = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=8
)


def test_what_a_csv_writer_wrote_is_what_is_read(
    tmp_path: Path, figures: Figures, long: bool
) -> None:
    path, done = tmp_path / "in.csv", 0

    @settings(max_examples=2_000 if long else 80, **SETTINGS)
    @given(
        st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=12), st.integers(1, 4), ENDS
    )
    def play(rows: list[tuple[str, ...]], shard_rows: int, end: bytes) -> None:
        nonlocal done
        done += 1
        text = io.StringIO()
        writer = csv.writer(text, lineterminator=end.decode(), quoting=csv.QUOTE_ALL)
        writer.writerows([("a", "b", "c"), *rows])
        path.write_bytes(text.getvalue().encode())
        found = [record.fields for record in records(path, shard_rows, 200)]
        assert found == [dict(zip("abc", row, strict=True)) for row in rows]

    play()
    figures(fuzz_examples=done)


def test_an_input_that_changed_is_refused_and_one_that_grew_keeps_its_shards(
    tmp_path: Path, figures: Figures, long: bool
) -> None:
    path, done = tmp_path / "in.jsonl", 0

    @settings(max_examples=1_000 if long else 60, **SETTINGS)
    @given(
        st.lists(GOOD, min_size=1, max_size=8),
        st.lists(GOOD, max_size=3),
        st.booleans(),
        st.integers(0, 2**16),
        st.integers(0, 255),
    )
    def play(lines: list[bytes], more: list[bytes], ended: bool, place: int, flip: int) -> None:
        nonlocal done
        done += 1
        data = b"\n".join(lines) + (b"\n" if ended else b"")
        path.write_bytes(data)
        before = Inputs.open([str(path)])
        shards = list(before.shards(rows=3))
        grown = data + (b"" if ended or not more else b"\n") + b"\n".join(more)
        path.write_bytes(grown)
        now = Inputs.open([str(path)])
        now.check(before.frozen)
        assert list(now.shards(rows=3))[: len(shards)] == shards
        changed = bytearray(grown)
        changed[place % len(data)] ^= flip
        path.write_bytes(changed)
        refused(path, before) if flip else Inputs.open([str(path)]).check(before.frozen)

    play()
    figures(fuzz_examples=done)


def refused(path: Path, before: Inputs) -> Any:
    with pytest.raises(InputError):
        Inputs.open([str(path)]).check(before.frozen)
