from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.sources.jsonl import columns_of, fields_of, lines_of, records, rows_of

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
BATCH = '{"custom_id": "1", "method": "POST", "url": "/v1", "body": {}}'
objects = st.dictionaries(st.text(), json_values, max_size=5)


@settings(max_examples=40)
@given(st.lists(objects, max_size=6), st.integers(0, 10**12))
def test_objects_are_records_with_their_row_and_line(
    rows: list[dict[str, Any]], first_row: int
) -> None:
    payload = b"".join(json.dumps(row, allow_nan=False).encode() + b"\n\n" for row in rows)
    found = list(records(payload, first_row, "in.jsonl", 7, None, None))
    assert [record.fields for record in found] == rows
    assert [record.row for record in found] == list(range(first_row, first_row + len(rows)))
    assert [record.where for record in found] == [
        f"in.jsonl:{7 + 2 * index}" for index in range(len(rows))
    ]
    assert all(record.problem is None and record.batch is None for record in found)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"a": 1', "malformed JSON"),
        (b'{"a": 1}}', "malformed JSON: trailing characters"),
        (b"hello", "malformed JSON"),
        (b'{"a": NaN}', "malformed JSON"),
        (b'{"a": Infinity}', "malformed JSON"),
        (b'{"a": 1e999}', "malformed JSON: Number out of range"),
        (b'{"a": "\xff"}', "invalid UTF-8 in a string"),
        (b'{"\xff": 1}', "invalid UTF-8 in a string"),
        (b'{"a": "\\ud800"}', "malformed JSON"),
        (b"\xef\xbb\xbf{}", "malformed JSON"),
        (b"\0\0\0", "malformed JSON"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "malformed JSON: nested too deeply"),
        (b"null", "expected a JSON object, found null"),
        (b"true", "expected a JSON object, found a boolean"),
        (b"1", "expected a JSON object, found a number"),
        (b"1.5", "expected a JSON object, found a number"),
        (b'"a"', "expected a JSON object, found a string"),
        (b'["a"]', "expected a JSON object, found an array"),
        (b"\0row of 99 bytes, xxh3 0123456789abcdef", "the row is too long: 99 bytes"),
    ],
)
def test_what_is_no_object_is_a_record_with_a_problem(line: bytes, problem: str) -> None:
    before, broken, after = records(b'{"a":1}\n' + line + b'\n{"a":2}\n', 5, "f", 1, None, None)
    assert (before.row, broken.row, after.row) == (5, 6, 7)
    assert broken.problem is not None
    assert broken.problem.startswith(problem)
    assert broken.where == "f:2"
    assert broken.fields is None
    assert after.fields == {"a": 2}


@pytest.mark.parametrize("line", [b"", b"nonsense", b"\xff\xfe", b"{" * 100, b'{"a":"\\u12"}'])
def test_no_line_raises(line: bytes) -> None:
    assert isinstance(fields_of(line), str)


@given(st.binary(max_size=60))
def test_no_bytes_raise(line: bytes) -> None:
    assert isinstance(fields_of(line), str | dict)


def test_integers_are_exact_at_any_size() -> None:
    assert fields_of(b'{"a": %d}' % 3**200) == {"a": 3**200}


def test_a_carriage_return_before_the_newline_is_no_part_of_the_row() -> None:
    (record,) = records(b'{"a": 1}\r\n\r\n', 0, "f", 1, None, None)
    assert record.fields == {"a": 1}


def test_only_wanted_rows_are_decoded() -> None:
    payload = b'{"a":0}\nnot decoded\n\n{"a":2}\n'
    found = list(records(payload, 10, "f", 1, None, {12}))
    assert [(record.row, record.where, record.fields) for record in found] == [
        (12, "f:4", {"a": 2})
    ]


@settings(max_examples=40)
@given(st.lists(objects.map(json.dumps) | st.sampled_from(["", " ", "{", "[1]", "{} {}", BATCH])))
def test_the_columns_of_lines_are_those_of_their_records(lines: list[str]) -> None:
    payload = "\n".join(lines).encode()
    expected = [record.fields or {} for record in records(payload, 0, "in.jsonl", 1, None, None)]
    assert list(columns_of(payload)) == expected


pieces = st.sampled_from(
    ["{", "}", "{}", "\n", "\r\n", "\r", " ", "\t", '"a"', ":", ",", "[", "]", "1", '"\n{"', "\x0b"]
)


@given(st.lists(pieces | objects.map(json.dumps), max_size=20).map("".join))
@example("{}{}\n{\n}\n")
@example('{"a":\n{}}\n{}{}\n')
@example('{"a":"}\n{"}\n{}{}')
@example("{}\n{}\n{}")
def test_rows_are_those_of_the_lines_one_by_one(text: str) -> None:
    payload = text.encode()
    expected = [(number, fields_of(line)) for number, line in lines_of(payload, 3)]
    assert list(rows_of(payload, 3)) == expected
