"""A set of row numbers: which rows are done, which failed, which are asked again.

It is made of pages, because rows end in any order: what lies behind the low-water mark takes
nothing, what is scattered a few bytes a row, and the rest a bit. Ranges are made of it where they
are wanted; of rows that failed here and there they would be many.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from penstock.ledger.row_page import (
    FULL,
    PAGE_BITS,
    PAGE_BYTES,
    PAGE_ROWS,
    Page,
    bitmap,
    copy_of,
    empty,
    gaps,
    has,
    page_of,
    ranges,
    with_added,
    without,
)

MANY: Final = 32  # rows that are worth a page's bitmap


class RowSet:
    """A set of rows, numbered from 0."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        """The rows of `ranges`, each (first, end), without `end`."""
        self._pages: list[Page] = []
        self._counts = array("H")  # how many rows each page has
        self._count = 0
        self._low_page = 0  # all pages before it are full
        for start, end in ranges:
            self.add_range(start, end)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, row: int) -> bool:
        number = row >> PAGE_BITS
        return 0 <= number < len(self._pages) and has(self._pages[number], row & (PAGE_ROWS - 1))

    def __iter__(self) -> Iterator[int]:
        for start, end in self.ranges():
            yield from range(start, end)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RowSet):
            return NotImplemented
        return self.to_bytes() == other.to_bytes()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"RowSet({list(self.ranges())!r})"

    @classmethod
    def from_bytes(cls, bits: bytes, full_rows: int = 0) -> RowSet:
        """The set that `to_bytes` gave, after so many rows that are all in it."""
        made = cls()
        full = full_rows >> PAGE_BITS
        made._pages = [FULL] * full
        made._counts = array("H", [PAGE_ROWS]) * full
        made._count, made._low_page = full * PAGE_ROWS, full
        made._grow(full - (-len(bits) // PAGE_BYTES))
        for number in range(full, len(made._pages)):
            at = (number - full) * PAGE_BYTES
            made._put(number, bits[at : at + PAGE_BYTES])
        return made

    def to_bytes(self, after: int = 0) -> bytes:
        """As a bitmap: row n is bit n % 8, from the lowest, of byte n // 8.

        The first `after` rows, as many as `full_rows` or none, are left out.
        """
        return b"".join(map(bitmap, self._pages[after >> PAGE_BITS :])).rstrip(b"\0")

    @property
    def full_rows(self) -> int:
        """So many rows from 0 on, in whole pages, are all in the set."""
        return self.low_water >> PAGE_BITS << PAGE_BITS

    def copy(self) -> RowSet:
        twin = RowSet()
        twin._pages = [copy_of(page) for page in self._pages]
        twin._counts, twin._count, twin._low_page = self._counts[:], self._count, self._low_page
        return twin

    def add(self, row: int) -> bool:
        """Add a row; False if it was there."""
        if row < 0:
            raise ValueError(f"no row: {row}")
        if row in self:
            return False
        number = row >> PAGE_BITS
        self._grow(number + 1)
        self._counts[number] += 1
        self._count += 1
        full = self._counts[number] == PAGE_ROWS
        page = self._pages[number]
        self._pages[number] = FULL if full else with_added(page, row & (PAGE_ROWS - 1))
        return True

    def add_many(self, rows: bytes | memoryview) -> int:
        """Add rows given as an int64 buffer; returns how many of them were not there yet."""
        view = memoryview(rows).cast("B").cast("q")
        return len(view) - len(self._add(view))

    def add_new(self, rows: bytes | memoryview) -> list[int]:
        """Add rows given as an int64 buffer; returns those that were there already."""
        return self._add(memoryview(rows).cast("B").cast("q"))

    def discard(self, row: int) -> bool:
        """Take a row out; False if it was not there."""
        if row not in self:
            return False
        number = row >> PAGE_BITS
        self._pages[number] = without(self._pages[number], row & (PAGE_ROWS - 1))
        self._counts[number] -= 1
        self._count -= 1
        self._low_page = min(self._low_page, number)
        return True

    def add_range(self, start: int, end: int) -> int:
        """Add the rows from `start` up to `end`; returns how many were not there yet."""
        if not 0 <= start <= end:
            raise ValueError(f"no range of rows: {start} to {end}")
        before = self._count
        self._grow(-(-end // PAGE_ROWS))
        for number in range(start >> PAGE_BITS, -(-end // PAGE_ROWS)):
            first = max(start - number * PAGE_ROWS, 0)
            last = min(end - number * PAGE_ROWS, PAGE_ROWS)
            old = int.from_bytes(bitmap(self._pages[number]), "little")
            new = old | ((1 << (last - first)) - 1) << first
            self._put(number, new.to_bytes(PAGE_BYTES, "little"))
        return self._count - before

    def update(self, other: RowSet) -> None:
        """Add all rows of another set."""
        self._grow(len(other._pages))
        for number, page in enumerate(other._pages):
            if other._counts[number]:
                one, two = (
                    int.from_bytes(bitmap(each), "little") for each in (self._pages[number], page)
                )
                self._put(number, (one | two).to_bytes(PAGE_BYTES, "little"))

    @property
    def low_water(self) -> int:
        """The first row that is not in the set."""
        number = self._low_page
        while number < len(self._pages) and self._pages[number] is FULL:
            number += 1
        self._low_page = number
        if number == len(self._pages):
            return number << PAGE_BITS
        bits = int.from_bytes(bitmap(self._pages[number]), "little")
        return (number << PAGE_BITS) + (~bits & (bits + 1)).bit_length() - 1

    def ranges(self) -> Iterator[tuple[int, int]]:
        """The set as ascending (first, end), without `end`, that neither touch nor overlap."""
        return joined(
            ((number << PAGE_BITS) + first, (number << PAGE_BITS) + last)
            for number, page in enumerate(self._pages)
            for first, last in ranges(page)
        )

    def missing(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The rows from `start` up to `end` that are not in the set, as ascending ranges."""
        held = len(self._pages) << PAGE_BITS
        beyond = [(max(start, held), end)] if max(start, held) < end else []
        return joined(chain(self._gaps(start, min(end, held)), beyond))

    def _gaps(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """What is missing of rows for which there are pages, page by page."""
        for number in range(start >> PAGE_BITS, -(-end // PAGE_ROWS)):
            base = number << PAGE_BITS
            page = self._pages[number]
            for first, last in gaps(page, max(start - base, 0), min(end - base, PAGE_ROWS)):
                yield base + first, base + last

    def _grow(self, pages: int) -> None:
        while len(self._pages) < pages:
            self._pages.append(empty())
            self._counts.append(0)

    def _put(self, number: int, bits: bytes | bytearray) -> None:
        """Let a page be what a bitmap says."""
        self._pages[number], count = page_of(bits)
        self._count += count - self._counts[number]
        self._counts[number] = count

    def _add(self, rows: memoryview) -> list[int]:
        """Add rows, and return those that were there, in no order.

        Neighbours come together, and a page is looked up, and counted, once for all of its rows.
        """
        if len(rows) < MANY:
            return [row for row in rows if not self.add(row)]
        ordered = sorted(rows)
        if ordered[0] < 0:
            raise ValueError(f"no row: {ordered[0]}")
        known: list[int] = []
        at, bits = 0, self._bitmap(0)
        for row in ordered:
            if row >> PAGE_BITS != at:
                self._put(at, bits)
                at = row >> PAGE_BITS
                bits = self._bitmap(at)
            byte, mask = (row & (PAGE_ROWS - 1)) >> 3, 1 << (row & 7)
            if bits[byte] & mask:
                known.append(row)
            else:
                bits[byte] |= mask
        self._put(at, bits)
        return known

    def _bitmap(self, number: int) -> bytearray:
        """A page's bitmap, to be put back."""
        self._grow(number + 1)
        return bytearray(bitmap(self._pages[number]))


def joined(parts: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Ascending ranges, those that touch as one."""
    start = end = 0
    for first, last in parts:
        if first != end:
            if start < end:
                yield start, end
            start = first
        end = last
    if start < end:
        yield start, end
