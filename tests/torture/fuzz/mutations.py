"""Bytes for a target: its seeds, changed in the ways in which files and answers are broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st

Change = tuple[str, int, bytes]  # what, where (of the size, in 1/65536), with what

# What parsers have stumbled over: lengths, ends, depths, numbers, marks, bytes that are no UTF-8.
ODD: Final = (
    b"\0",
    b"\xff",
    b"\n",
    b"\r\n",
    b"\n\n",
    b'"',
    b"\\",
    b"\\ud800",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"[" * 50,
    b"{" * 50,
    b'{"a":' * 50,
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"\0" * 16,
    b"-1",
    b"1e999",
    b"9" * 30,
    b"9" * 4400,
    b"NaN",
    b"Infinity",
    b"null",
    b"{}",
    b"[]",
    b" " * 40,
)

changes: st.SearchStrategy[Change] = st.tuples(
    st.sampled_from(["flip", "cut", "end", "insert", "put", "again"]),
    st.integers(0, 65_535),
    st.one_of(st.sampled_from(ODD), st.binary(min_size=1, max_size=8)),
)

MASKS: Final = st.integers(1, 255).map(lambda mask: bytes([mask]))


def changed(data: bytes, change: Change) -> bytes:
    """`data` with one change."""
    what, place, with_what = change
    at = place * (len(data) + 1) >> 16
    rest = {
        "flip": bytes([data[at] ^ (with_what[0] or 1)]) if at < len(data) else b"",
        "put": with_what,
    }
    if what in rest:
        return data[:at] + rest[what] + data[at + len(rest[what]) :]
    if what == "end":
        return data[:at]
    if what == "cut":
        return data[:at] + data[at + with_what[0] :]
    more = with_what if what == "insert" else data[at : at + 16 * with_what[0]]
    return data[:at] + more + data[at:]


def all_changed(data: bytes, many: Sequence[Change]) -> bytes:
    """`data` with one change after the other."""
    for change in many:
        data = changed(data, change)
    return data


def mutated(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """A seed with a single byte changed, or with more done to it; now and then only noise.

    Checksums are met by single bytes alone: whatever does more is refused for its form.
    """
    seed = st.sampled_from(seeds)
    one = st.builds(changed, seed, st.tuples(st.just("flip"), st.integers(0, 65_535), MASKS))
    some = st.builds(all_changed, seed, st.lists(changes, max_size=6))
    return one | some | st.binary(max_size=200)
