from __future__ import annotations

import csv as reference
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import InputError
from penstock.sources.csv import GRAMMARS, names_of, raw_rows, records
from penstock.sources.lines import Cutter

values = st.text(alphabet='ab ",\t\n\r"é', max_size=8)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(values, min_size=width, max_size=width).filter(lambda row: "".join(row).strip()),
        max_size=12,
    )
)


def written(rows: list[list[str]], delimiter: str, end: str) -> bytes:
    text = io.StringIO(newline="")
    # Where it need not, it does not quote a lone carriage return, which then ends no field of ours.
    quoting = (
        reference.QUOTE_ALL if "\r" in "".join(map("".join, rows)) else reference.QUOTE_MINIMAL
    )
    writer = reference.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows(rows)
    return text.getvalue().encode()


@given(tables, st.sampled_from(["csv", "tsv"]), st.sampled_from(["\n", "\r\n"]))
def test_what_the_standard_library_writes_is_read_back(
    rows: list[list[str]], kind: str, end: str
) -> None:
    delimiter = {"csv": ",", "tsv": "\t"}[kind]
    header = [f"c{place}" for place in range(len(rows[0]) if rows else 1)]
    data = written([header, *rows], delimiter, end)
    found = list(records(GRAMMARS[kind], data, 0, "f.csv", 2, None, None))
    assert [record.problem for record in found] == [None] * len(rows)
    assert [list((record.fields or {}).values()) for record in found] == rows


@given(tables, st.integers(1, 4), st.integers(1, 30), st.sampled_from(["\n", "\r\n"]))
def test_cut_pieces_hold_the_same_rows_and_lines_as_the_whole(
    rows: list[list[str]], at_once: int, max_bytes: int, end: str
) -> None:
    data = written(rows, ",", end)
    grammar = GRAMMARS["csv"]
    source = io.BytesIO(data)
    pieces = Cutter(source, rows=at_once, max_bytes=max_bytes, row_end=grammar.row_end)
    header = b"h\n"
    found = [
        row
        for piece in pieces
        for row in list(raw_rows(grammar, header + piece.payload, piece.first_line))[1:]
    ]
    assert found == list(raw_rows(grammar, header + data, 1))[1:]
    assert len(found) == len(rows)


@given(st.binary(max_size=80).map(lambda data: data.replace(b"\x00", b'"')))
def test_no_bytes_raise_and_all_are_in_some_record(data: bytes) -> None:
    grammar = GRAMMARS["csv"]
    parts = list(grammar.records_of(data))
    assert b"\n".join(parts) in (data, data.removesuffix(b"\n"))
    for part in parts:
        grammar.fields_of(part)


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        (b"a,b", ["a", "b"]),
        (b"a,b\r", ["a", "b"]),
        (b",", ["", ""]),
        (b'"a,b",c', ["a,b", "c"]),
        (b'"a\nb",c', ["a\nb", "c"]),
        (b'"a\r\nb",c', ["a\r\nb", "c"]),
        (b'"say ""hi""",c', ['say "hi"', "c"]),
        (b'"",c', ["", "c"]),
        (b'5" disk,c', ['5" disk', "c"]),
        (b'a "b" c,d', ['a "b" c', "d"]),
        (b"007,1e5", ["007", "1e5"]),
        ("é,ü".encode(), ["é", "ü"]),
        (b'"a"b,c', "field 1 goes on after its closing quote"),
        (b'a,"b', "the quote that opens field 2 is never closed"),
        (b"\xff,a", "invalid UTF-8 at byte 0: invalid start byte"),
        (b"\0row of 99 bytes, xxh3 0123456789abcdef", "the row is too long: 99 bytes"),
    ],
)
def test_fields_are_text_as_written(row: bytes, fields: list[str] | str) -> None:
    assert GRAMMARS["csv"].fields_of(row) == fields


def test_rows_with_too_few_or_too_many_fields_are_problems_with_their_line() -> None:
    data = b'id,b\n"x\ny",1\n\n1\n1,2,3\nz,2\n'
    found = list(records(GRAMMARS["csv"], data, 4, "f.csv", 2, None, None))
    assert [(record.row, record.where, record.id) for record in found] == [
        (4, "f.csv:2", "x\ny"),
        (5, "f.csv:5", None),
        (6, "f.csv:6", None),
        (7, "f.csv:7", "z"),
    ]
    assert [record.problem for record in found] == [
        None,
        "expected 2 fields, as the header has, found 1",
        "expected 2 fields, as the header has, found 3",
        None,
    ]


def test_only_wanted_rows_are_decoded() -> None:
    found = list(records(GRAMMARS["csv"], b"a\nx\ny\nz\n", 0, "f", 2, None, {1}))
    assert [(record.row, record.fields) for record in found] == [(1, {"a": "y"})]


def test_a_quote_that_is_never_closed_ends_with_the_row_that_it_makes_too_long() -> None:
    data = b'a,b\n"open,1\n' + b"x,y\n" * 20 + b"1,2\n" * 3
    pieces = Cutter(
        io.BytesIO(data),
        rows=1,
        max_bytes=1000,
        max_line_bytes=40,
        row_end=GRAMMARS["csv"].row_end,
    )
    payloads = [piece.payload for piece in pieces]
    assert payloads[0] == b"a,b\n"
    assert payloads[1].startswith(b"\0row of ")
    assert payloads[-1] == b"1,2\n"


def test_a_column_without_a_name_is_called_by_its_place() -> None:
    assert names_of(b",b,", GRAMMARS["csv"], "f") == ["column_1", "b", "column_3"]


@pytest.mark.parametrize(
    ("header", "what"),
    [
        (b"a,b,a", "f.csv: two columns are called 'a'"),
        (b"a,b\r1,2\r3,4", "f.csv: its lines end with a lone carriage return"),
        (b'a,"b', "f.csv: the header: the quote that opens field 2 is never closed"),
    ],
)
def test_a_header_that_can_not_be_used_is_an_error(header: bytes, what: str) -> None:
    with pytest.raises(InputError) as raised:
        names_of(header, GRAMMARS["csv"], "f.csv")
    assert raised.value.what == what


def test_a_header_of_very_many_names_is_looked_through_once() -> None:
    names = names_of(b",".join(b"c%d" % n for n in range(200_000)), GRAMMARS["csv"], "in.csv")
    assert len(names) == 200_000
