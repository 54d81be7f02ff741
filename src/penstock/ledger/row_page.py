"""A page of a set of rows: which of PAGE_ROWS numbers, from 0, are in it.

It has the form that takes the least memory for what it holds: few numbers are listed, all of them
are one constant that all full pages share, and only what lies between takes a bit a number. So a
set of rows that were done in about ascending order, and one of rows that failed here and there,
both stay small however many rows there are. (The idea is that of Roaring bitmaps: Chambi, Lemire,
Kaser and Godin, 2016, Software: Practice and Experience 46(5), 709-719.)
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final, TypeAlias

PAGE_BITS: Final = 13
PAGE_ROWS: Final = 1 << PAGE_BITS
PAGE_BYTES: Final = PAGE_ROWS >> 3
MOST_LISTED: Final = 128

# Ascending numbers, a bitmap, or FULL.
Page: TypeAlias = "array[int] | bytearray | bytes"

FULL: Final = b"\xff" * PAGE_BYTES

# Runs of full, of empty, and single mixed bytes.
_RUNS: Final = re.compile(rb"\xff+|\x00+|[^\x00\xff]", re.DOTALL)


def _byte_ranges(byte: int) -> tuple[tuple[int, int], ...]:
    ranges = []
    start = None
    for bit in range(9):
        if bit < 8 and byte >> bit & 1:
            start = bit if start is None else start
        elif start is not None:
            ranges.append((start, bit))
            start = None
    return tuple(ranges)


_BYTE_RANGES: Final = tuple(_byte_ranges(byte) for byte in range(256))


def empty() -> Page:
    return array("H")


def bitmap(page: Page) -> bytearray | bytes:
    """The page as a bitmap: number n is bit n % 8, from the lowest, of byte n // 8."""
    if not isinstance(page, array):
        return page
    bits = bytearray(PAGE_BYTES)
    for number in page:
        bits[number >> 3] |= 1 << (number & 7)
    return bits


def page_of(bits: bytes | bytearray) -> tuple[Page, int]:
    """A bitmap of at most PAGE_BYTES in its smallest form, and how many numbers it has."""
    count = int.from_bytes(bits, "little").bit_count()
    if count == PAGE_ROWS:
        return FULL, count
    if count > MOST_LISTED:
        return bytearray(bits).ljust(PAGE_BYTES, b"\0"), count
    places = (at for at, byte in enumerate(bits) if byte)
    return array("H", [at * 8 + b for at in places for b in range(8) if bits[at] >> b & 1]), count


def has(page: Page, number: int) -> bool:
    if isinstance(page, array):
        at = bisect_left(page, number)
        return at < len(page) and page[at] == number
    return bool(page[number >> 3] >> (number & 7) & 1)


def with_added(page: Page, number: int) -> Page:
    """The page with a number that it has not yet; it may be changed in place."""
    if isinstance(page, array):
        if len(page) < MOST_LISTED:
            page.insert(bisect_left(page, number), number)
            return page
        page = bitmap(page)
    assert isinstance(page, bytearray)
    page[number >> 3] |= 1 << (number & 7)
    return page


def without(page: Page, number: int) -> Page:
    """The page without a number that it has; it may be changed in place."""
    if isinstance(page, array):
        page.pop(bisect_left(page, number))
        return page
    bits = bytearray(page) if isinstance(page, bytes) else page
    bits[number >> 3] &= ~(1 << (number & 7))
    return bits


def copy_of(page: Page) -> Page:
    return page if isinstance(page, bytes) else page[:]


def gaps(page: Page, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The numbers from `start` up to `end` that are not in the page, as ascending (first, end).

    It looks at no other part of the page: leases are asked for much more often than pages.
    """
    if page is FULL:
        return
    if isinstance(page, array):
        for at in range(bisect_left(page, start), bisect_left(page, end)):
            if start < page[at]:
                yield start, page[at]
            start = page[at] + 1
        if start < end:
            yield start, end
        return
    bits = int.from_bytes(page[start >> 3 : (end + 7) >> 3], "little") >> (start & 7)
    absent = ~bits & ((1 << (end - start)) - 1)
    while absent:
        skipped = (absent & -absent).bit_length() - 1
        absent >>= skipped
        length = (~absent & (absent + 1)).bit_length() - 1
        absent >>= length
        start += skipped + length
        yield start - length, start


def ranges(page: Page) -> Iterator[tuple[int, int]]:
    """The page as ascending (first, end), without `end`, that do not overlap, but may touch."""
    if isinstance(page, array):
        for number in page:
            yield number, number + 1
        return
    for run in _RUNS.finditer(page):
        byte, base = page[run.start()], run.start() << 3
        if byte == 0xFF:
            yield base, run.end() << 3
        for first, end in _BYTE_RANGES[byte] if byte not in (0, 0xFF) else ():
            yield base + first, base + end
