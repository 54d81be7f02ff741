"""The bytes of a gzip file, from the start of any of its members."""

from __future__ import annotations

import zlib
from typing import Final

from penstock.errors import InputError
from penstock.sources.frozen_file import FrozenFile
from penstock.sources.restarts import Restarts

READ_BYTES: Final = 64 << 10
MOST_BYTES: Final = 1 << 20  # given out at once, however large the request


class GzipSource:
    """One or more gzip members, with zero padding after them, as tape and disk tools leave it."""

    def __init__(self, file: FrozenFile, restart: tuple[int, int]) -> None:
        self._file = file
        self._restarts = Restarts(restart)
        self._offset = restart[1]
        self._input = b""
        self._inflate: zlib._Decompress | None = None  # between members
        file.seek(restart[0])

    def read(self, size: int, /) -> bytes:
        while True:
            inflate = self._inflate or self._next_member()
            if inflate is None:
                return b""
            if not self._input:
                self._input = self._file.read(READ_BYTES)
            data = self._decompress(inflate, min(size, MOST_BYTES))
            if data:
                self._offset += len(data)
                return data

    def _decompress(self, inflate: zlib._Decompress, size: int) -> bytes:
        at_end = not self._input
        try:
            data = inflate.decompress(self._input, size)
        except zlib.error as error:
            raise self._broken(f"is broken: {error}") from None
        if inflate.eof:
            self._input = inflate.unused_data
            self._inflate = None
        elif at_end and not data:
            raise self._broken("is cut short")
        else:
            self._input = inflate.unconsumed_tail
        return data

    def _next_member(self) -> zlib._Decompress | None:
        """Goes to the next member; None at the end of the file."""
        self._input = self._input.lstrip(b"\0")
        while not self._input:
            self._input = self._file.read(READ_BYTES)
            if not self._input:
                return None
            self._input = self._input.lstrip(b"\0")
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._restarts.add(self._file.position - len(self._input), self._offset)
        return self._inflate

    def _broken(self, what: str) -> InputError:
        return InputError(
            f"{self._file.name}: the gzip data {what}, near byte {self._file.position:,}",
            "Fetch or make the file anew; `gzip -t` checks it.",
        )

    def restart_before(self, offset: int) -> tuple[int, int]:
        return self._restarts.before(offset)

    def close(self) -> None:
        self._file.close()
