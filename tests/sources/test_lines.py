from __future__ import annotations

import io
import itertools
import tracemalloc
from collections.abc import Iterator

from hypothesis import example, given
from hypothesis import strategies as st

from penstock.sources.jsonl import lines_of
from penstock.sources.lines import Cutter, Piece, too_long

# Short alphabets make blank lines, CRLF and empty pieces likely.
line_bytes = st.one_of(
    st.text("ab \t\r", max_size=12).map(str.encode),
    st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")),
)


class Dribble:
    """A source that gives as little as it likes to."""

    def __init__(self, data: bytes, most: int) -> None:
        self._file = io.BytesIO(data)
        self._most = most

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, self._most))


def cut(data: bytes, rows: int, max_bytes: int, most: int = 1 << 20, **more: int) -> list[Piece]:
    return list(Cutter(Dribble(data, most), rows=rows, max_bytes=max_bytes, **more))


def rows_of(pieces: list[Piece]) -> list[tuple[int, bytes]]:
    return [row for piece in pieces for row in lines_of(piece.payload, piece.first_line)]


def expected_rows(data: bytes) -> list[tuple[int, bytes]]:
    return [
        (number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip() != b""
    ]


@given(
    st.lists(line_bytes, max_size=40),
    st.booleans(),
    st.integers(1, 9),
    st.integers(1, 80),
    st.integers(1, 50),
)
def test_every_row_comes_out_once_with_its_line_number(
    lines: list[bytes], ended: bool, rows: int, max_bytes: int, most: int
) -> None:
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    pieces = cut(data, rows, max_bytes, most)
    assert rows_of(pieces) == expected_rows(data)
    for piece in pieces:
        assert piece.rows == len(list(lines_of(piece.payload, 1)))
        assert 1 <= piece.rows <= rows
        assert piece.rows == 1 or len(piece.payload) <= max_bytes


@given(
    st.lists(line_bytes.filter(lambda line: line.strip() != b""), max_size=40),
    st.integers(1, 9),
    st.integers(1, 80),
    st.integers(1, 50),
)
def test_pieces_put_together_are_the_input_where_no_line_is_blank(
    lines: list[bytes], rows: int, max_bytes: int, most: int
) -> None:
    data = b"\n".join(lines)
    assert b"".join(piece.payload for piece in cut(data, rows, max_bytes, most)) == data


@given(
    st.lists(line_bytes, max_size=40),
    st.integers(1, 9),
    st.integers(1, 80),
    st.integers(0, 60),
    st.integers(1, 50),
)
def test_cutting_on_from_any_pieces_end_gives_the_pieces_that_followed(
    lines: list[bytes], rows: int, max_bytes: int, max_line_bytes: int, most: int
) -> None:
    data = b"\n".join(lines)
    pieces = cut(data, rows, max_bytes, max_line_bytes=max_line_bytes)
    for index, piece in enumerate(pieces):
        rest = cut(
            data[piece.end_offset :],
            rows,
            max_bytes,
            most,
            offset=piece.end_offset,
            line=piece.end_line,
            max_line_bytes=max_line_bytes,
        )
        assert rest == pieces[index + 1 :]


@given(st.lists(line_bytes, max_size=30), st.integers(0, 20), st.integers(1, 30), st.integers(1, 9))
@example([b" " * 9], 0, 1, 1)
def test_a_row_that_is_too_long_is_a_marker_in_its_place(
    lines: list[bytes], max_line_bytes: int, most: int, rows: int
) -> None:
    data = b"\n".join(lines) + b"\n"
    found = rows_of(cut(data, rows, 50, most, max_line_bytes=max_line_bytes))
    wanted = expected_rows(data)
    assert [number for number, _ in found] == [number for number, _ in wanted]
    for (_, line), (_, original) in zip(found, wanted, strict=True):
        if len(original) > max_line_bytes:
            assert too_long(line) == f"the row is too long: {len(original):,} bytes"
        else:
            assert line == original


def test_the_last_row_is_a_piece_by_itself_where_no_newline_ends_it() -> None:
    assert [piece.payload for piece in cut(b"a\nb\nc", 10, 100)] == [b"a\nb\n", b"c"]


def test_a_line_that_begins_with_nul_is_no_marker_by_that() -> None:
    assert too_long(b"\0row of 12 bytes") is None
    assert too_long(b"row of 12 bytes, xxh3 0123456789abcdef") is None


def test_long_rows_that_differ_have_markers_that_differ() -> None:
    one, other = (cut(letter * 100, 1, 1, max_line_bytes=10)[0] for letter in (b"a", b"b"))
    assert one.payload != other.payload


class Chunks:
    """A source of given chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, size: int, /) -> bytes:
        return next(self._chunks, b"")


def test_a_long_row_is_never_held_whole() -> None:
    chunk = b"x" * (64 << 10)
    source = Chunks(itertools.chain(itertools.repeat(chunk, 500), [b"\n{}\n"]))
    tracemalloc.start()
    pieces = list(Cutter(source, rows=10, max_bytes=1 << 20, max_line_bytes=1 << 20))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert too_long(pieces[0].payload) == f"the row is too long: {500 * len(chunk):,} bytes"
    assert pieces[1].payload == b"{}\n"
    assert pieces[1].first_line == 2
    assert peak_bytes < 5 << 20


def test_memory_does_not_grow_with_the_number_of_rows() -> None:
    def peak_of(chunks: int) -> int:
        source = Chunks(itertools.repeat(b'{"text": "some text"}\n' * 3000, chunks))
        tracemalloc.start()
        rows = sum(piece.rows for piece in Cutter(source, rows=500, max_bytes=1 << 20))
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert rows == chunks * 3000
        return peak_bytes

    assert peak_of(40) < 1.1 * peak_of(8)
