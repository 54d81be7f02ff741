"""A set of row numbers: which rows are done, which failed, which are asked again.

A bitmap, because rows end in any order: a bit a row, 1.25 MB for ten million, whatever the order.
Ranges are made of it where they are wanted; of rows that failed here and there they would be many.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

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


class RowSet:
    """A set of rows, numbered from 0."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        """The rows of `ranges`, each (first, end), without `end`."""
        self._bits = bytearray()
        self._count = 0
        self._low_byte = 0  # all bytes before it are full
        for start, end in ranges:
            self.add_range(start, end)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, row: int) -> bool:
        byte = row >> 3
        return 0 <= byte < len(self._bits) and bool(self._bits[byte] >> (row & 7) & 1)

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
    def from_bytes(cls, bits: bytes) -> RowSet:
        """The set that `to_bytes` gave."""
        made = cls()
        made._bits = bytearray(bits)
        made._count = int.from_bytes(bits, "little").bit_count()
        return made

    def to_bytes(self) -> bytes:
        """The bitmap: row n is bit n % 8, from the lowest, of byte n // 8."""
        return bytes(self._bits.rstrip(b"\0"))

    def copy(self) -> RowSet:
        twin = RowSet()
        twin._bits, twin._count, twin._low_byte = self._bits[:], self._count, self._low_byte
        return twin

    def add(self, row: int) -> bool:
        """Add a row; False if it was there."""
        return not self._add((row,))

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
        byte = row >> 3
        self._bits[byte] &= ~(1 << (row & 7))
        self._count -= 1
        self._low_byte = min(self._low_byte, byte)
        return True

    def add_range(self, start: int, end: int) -> int:
        """Add the rows from `start` up to `end`; returns how many were not there yet."""
        if not 0 <= start <= end:
            raise ValueError(f"no range of rows: {start} to {end}")
        if start == end:
            return 0
        self._grow((end + 7) >> 3)
        first, last = start >> 3, (end + 7) >> 3
        old = int.from_bytes(self._bits[first:last], "little")
        new = old | ((1 << (end - start)) - 1) << (start & 7)
        self._bits[first:last] = new.to_bytes(last - first, "little")
        added = new.bit_count() - old.bit_count()
        self._count += added
        return added

    def update(self, other: RowSet) -> None:
        """Add all rows of another set."""
        union = int.from_bytes(self._bits, "little") | int.from_bytes(other._bits, "little")
        size = max(len(self._bits), len(other._bits))
        self._bits[:] = union.to_bytes(size, "little")
        self._count = union.bit_count()

    @property
    def low_water(self) -> int:
        """The first row that is not in the set."""
        bits, byte = self._bits, self._low_byte
        while byte < len(bits) and bits[byte] == 0xFF:
            byte += 1
        self._low_byte = byte
        if byte == len(bits):
            return byte << 3
        lowest_clear = ~bits[byte] & (bits[byte] + 1)
        return (byte << 3) + lowest_clear.bit_length() - 1

    def ranges(self) -> Iterator[tuple[int, int]]:
        """The set as ascending (first, end), without `end`, that neither touch nor overlap."""
        start = end = 0
        for run in _RUNS.finditer(self._bits):
            byte = self._bits[run.start()]
            if byte == 0:
                continue
            base = run.start() << 3
            parts = ((0, run.end() * 8 - base),) if byte == 0xFF else _BYTE_RANGES[byte]
            for first, stop in parts:
                if base + first == end:
                    end = base + stop
                    continue
                if start < end:
                    yield start, end
                start, end = base + first, base + stop
        if start < end:
            yield start, end

    def missing(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The rows from `start` up to `end` that are not in the set, as ascending ranges."""
        first, last = start >> 3, (end + 7) >> 3
        part = RowSet()
        part._bits = bytearray(~byte & 0xFF for byte in self._bits[first:last])
        part._bits.extend(b"\xff" * (last - first - len(part._bits)))
        base = first << 3
        for low, high in part.ranges():
            low, high = max(low + base, start), min(high + base, end)
            if low < high:
                yield low, high

    def _grow(self, size: int) -> None:
        if size > len(self._bits):
            # Ahead of need, so that ascending rows do not reallocate for each byte.
            self._bits.extend(bytes(max(size - len(self._bits), len(self._bits) >> 3)))

    def _add(self, rows: Iterable[int]) -> list[int]:
        bits = self._bits
        size = len(bits)
        added = 0
        known = []
        for row in rows:
            byte = row >> 3
            if byte >= size:
                self._grow(byte + 1)
                size = len(bits)
            elif byte < 0:
                self._count += added
                raise ValueError(f"no row: {row}")
            mask = 1 << (row & 7)
            if bits[byte] & mask:
                known.append(row)
            else:
                bits[byte] |= mask
                added += 1
        self._count += added
        return known
