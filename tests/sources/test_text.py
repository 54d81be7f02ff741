from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import InputError
from penstock.sources.bytesource import Source
from penstock.sources.jsonl import lines_of
from penstock.sources.shard import Cursor, Shard, checksum_of
from penstock.sources.text import TextInput

data_of_lines = st.lists(
    st.one_of(
        st.text("ab \t\r", max_size=12).map(str.encode),
        st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")),
    ),
    max_size=30,
).map(b"\n".join)


class InMemory(io.BytesIO):
    def restart_before(self, offset: int) -> tuple[int, int]:
        return (0, 0)


def text(data: bytes, kind: str = "lines", **more: Any) -> TextInput:
    def opener(offset: int, restart: tuple[int, int], end: int | None) -> Source:
        source = InMemory(data if end is None else data[:end])
        source.seek(offset)
        return source  # type: ignore[return-value]

    return TextInput("in", kind, opener, **{"max_line_bytes": 1 << 20, **more})


def shards(file: TextInput, rows: int = 3, max_bytes: int = 60) -> list[Shard]:
    return list(file.shards(Cursor(), rows, max_bytes))


@given(data_of_lines, st.integers(1, 5), st.integers(1, 60))
def test_shards_follow_each_other_without_a_gap(data: bytes, rows: int, max_bytes: int) -> None:
    row = 0
    for shard in shards(text(data), rows, max_bytes):
        assert shard.first_row == row
        assert shard.checksum == checksum_of(shard.payload)
        assert shard.rows == len(list(lines_of(shard.payload, 1)))
        row += shard.rows
        assert shard.next.row == row
    assert text(data).count_rows(threading.Event()) == row


@given(data_of_lines, st.integers(1, 5), st.integers(1, 60))
def test_reading_on_from_any_shard_gives_the_shards_that_followed(
    data: bytes, rows: int, max_bytes: int
) -> None:
    file = text(data)
    found = shards(file, rows, max_bytes)
    for index, shard in enumerate(found):
        assert list(file.shards(shard.next, rows, max_bytes)) == found[index + 1 :]


@given(data_of_lines, data_of_lines, st.booleans())
def test_shards_before_a_growth_come_out_as_they_did(
    before: bytes, more: bytes, ended: bool
) -> None:
    before += b"\n" if ended else b""
    whole = before + (b"" if ended or not before else b"\n") + more
    old = shards(text(before))
    new = shards(text(whole, cuts=(len(before),)))
    assert new[: len(old)] == old
    rows = [line for shard in new for _, line in lines_of(shard.payload, 1)]
    assert rows == [
        line for line in whole.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_row() -> None:
    (shard,) = shards(text(b'\xef\xbb\xbf{"a": 1}\n'))
    assert shard.payload == b'{"a": 1}\n'
    assert (shard.first_line, shard.next.offset) == (1, 12)


def test_only_blank_lines_are_no_shards() -> None:
    assert shards(text(b"\n \n\r\n\t\n")) == []


def test_csv_shards_each_have_the_header() -> None:
    data = b'\xef\xbb\xbfa,b\r\n1,"x\r\ny"\r\n\r\n3,4\r\n5,6'
    file = text(data, "csv")
    found = shards(file, rows=1)
    assert [(shard.payload, shard.first_line) for shard in found] == [
        (b'a,b\n1,"x\r\ny"\r\n', 2),
        (b"a,b\n3,4\r\n", 5),
        (b"a,b\n5,6", 6),
    ]
    for index, shard in enumerate(found):
        assert list(file.shards(shard.next, 1, 60)) == found[index + 1 :]
    assert file.column_names() == ["a", "b"]
    assert file.count_rows(threading.Event()) == 3


@pytest.mark.parametrize("data", [b"", b"a,b", b"a,b\n", b"\n\n"])
def test_csv_without_rows_is_no_shards(data: bytes) -> None:
    assert shards(text(data, "csv")) == []
    assert text(data, "csv").count_rows(threading.Event()) == 0


def test_a_csv_header_that_can_not_be_used_is_an_error() -> None:
    with pytest.raises(InputError, match="in: two columns are called 'a'"):
        shards(text(b"a,a\n1,2\n", "csv"))


@pytest.mark.parametrize("kind", ["lines", "csv"])
def test_counting_stops_when_it_is_told_to(kind: str) -> None:
    stop = threading.Event()
    stop.set()
    assert text(b"a\nb\nc\n", kind).count_rows(stop) is None


def test_a_last_row_that_became_longer_is_an_error_that_names_it() -> None:
    last = shards(text(b'{"a": 1}\n{"a": 2'))[-1]
    assert list(text(b'{"a": 1}\n{"a": 2\n}').shards(last.next, 3, 60)) != []
    with pytest.raises(InputError, match=r"in: row 1 \(line 2\) is longer than it was"):
        list(text(b'{"a": 1}\n{"a": 22}\n').shards(last.next, 3, 60))


def test_a_row_that_is_too_long_counts_as_a_row(tmp_path: Path) -> None:
    file = text(b"a\n" + b"x" * 100 + b"\nb\n", max_line_bytes=10)
    assert [shard.rows for shard in shards(file, rows=10)] == [1, 1, 1]
    assert file.count_rows(threading.Event()) == 3
