"""Dead letters are records again, as they were written, with what became of them."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from penstock.ledger.dead_letters import letter

ABOUT = {"row": 7, "error_class": "timeout"}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_columns_stand_as_they_were_written() -> None:
    raw = b'{"a": 1.10, "big": 123456789012345678901234567890, "u": "\\u00e9", "e": 1e400 }'
    line = letter({"a": 1.1}, raw, ABOUT)
    for part in (b'"a":1.10,', b'"big":123456789012345678901234567890', b"\\u00e9", b"1e400"):
        assert part in line
    assert b"\n" not in line


def test_what_an_earlier_run_wrote_is_replaced() -> None:
    line = letter({"a": 1}, b'{"_penstock": {"row": 99}, "a": 1}', ABOUT)
    assert msgspec.json.decode(line) == {"a": 1, "_penstock": ABOUT}


def test_columns_without_json_are_encoded() -> None:
    day = datetime.date(2026, 3, 1)
    found = msgspec.json.decode(letter({"day": day, "n": 1, "odd": 1j}, b"", ABOUT))
    assert found == {"day": "2026-03-01", "n": 1, "odd": "1j", "_penstock": ABOUT}


def test_what_could_not_be_read_stands_whole() -> None:
    found = msgspec.json.decode(letter(None, b'{"a": \xff\x00', ABOUT))
    assert found == {"_penstock": {**ABOUT, "raw": '{"a": \ufffd\0'}}


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_any_record_reads_back_as_it_was(fields: dict[str, Any]) -> None:
    found = msgspec.json.decode(letter(fields, msgspec.json.encode(fields), ABOUT))
    assert found.pop("_penstock") == ABOUT
    assert found == {name: value for name, value in fields.items() if name != "_penstock"}
