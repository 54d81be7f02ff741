"""Reading a stream that can be read once only, so that waiting for it can be given up."""

from __future__ import annotations

import os
import select
from typing import BinaryIO, Final

from penstock.errors import InputError

STDIN_NAME: Final = "standard input"

_LOOK_MS: Final = 100  # how often a wait looks whether it was given up

_AGAIN = "Run the same command again."


class Stdin:
    """Standard input, or any stream in its place; what is open as a file is read by descriptor.

    A terminal gives nothing: nobody types records.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._silent = stream.isatty()
        self._pushed_back = b""
        self._given_up = False
        try:
            self._file: int | None = stream.fileno()
        except OSError:
            self._file = None

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end only.

        Raises InputError where the stream fails, or `give_up` was called meanwhile.
        """
        data, self._pushed_back = self._pushed_back[:size], self._pushed_back[size:]
        try:
            while len(data) < size and (more := self._read_some(size - len(data))):
                data += more
        except OSError as error:
            raise InputError(f"{STDIN_NAME}: {error}", _AGAIN) from None
        return data

    def push_back(self, data: bytes) -> None:
        """Lets `data` be read again, before what follows."""
        self._pushed_back = data + self._pushed_back

    def give_up(self) -> None:
        """Ends a wait in another thread, and all further reading."""
        self._given_up = True

    def _read_some(self, size: int) -> bytes:
        if self._silent:
            return b""
        if self._file is None:
            return self._stream.read(size)
        waiting = select.poll()
        waiting.register(self._file, select.POLLIN)
        while not self._given_up:
            if waiting.poll(_LOOK_MS):
                return os.read(self._file, size)
        raise InputError(f"{STDIN_NAME}: was not read to its end", _AGAIN)
